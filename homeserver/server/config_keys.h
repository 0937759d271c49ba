// The table of configuration keys.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "homeserver/server/config.h"

namespace polder::server {

// What a key's value may be.
using ConfigValue = std::variant<bool, int64_t, std::string, std::vector<std::string>,
                                 std::vector<int64_t>, double>;

struct ConfigKey {
  std::string_view path;  // "registration.enabled"
  std::string_view documentation;
  ConfigValue shown;  // in the example: the default, or for what has none, something sensible
  bool required = false;
  bool needs_restart = false;
  // Checks and takes a value of the same alternative as `shown`. The message says what would be
  // right.
  std::function<Status(Config&, const ConfigValue&)> set;
};

std::span<const ConfigKey> config_keys();

// Keys of one [[listeners]] table.
struct ListenerKey {
  std::string_view name;
  std::string_view documentation;
  ConfigValue shown;
  bool required = false;
  bool in_example = true;
  std::function<Status(ListenerConfig&, const ConfigValue&)> set;
};
std::span<const ListenerKey> listener_keys();

}  // namespace polder::server
