// What an application service registers with.
// https://spec.matrix.org/v1.19/application-service-api/#registration
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "appservices/registry/pattern.h"
#include "homeserver/base/values/result.h"

namespace polder::appservices {

inline constexpr size_t kNamespacesMax = 1000;  // of users, of aliases, of rooms
inline constexpr size_t kTextBytesMax = 1000;

struct Namespace {
  bool exclusive = false;  // nobody else makes what it matches
  Pattern pattern;
};

struct Registration {
  std::string file;  // that it was read from, for messages
  std::string id;
  std::string url;  // empty: it wants no traffic
  std::string as_token;
  std::string hs_token;
  std::string sender_localpart;
  std::vector<Namespace> users;
  std::vector<Namespace> aliases;
  std::vector<Namespace> rooms;
  bool rate_limited = true;  // the users of its namespaces; its sender is not
  std::vector<std::string> protocols;
  bool receive_ephemeral = false;
};

// Reads the YAML. The error names every fault with its line and what would be right, one a line.
// Keys that are not known are ignored: registrations carry those of other homeservers.
Result<Registration> read_registration(std::string_view yaml);

}  // namespace polder::appservices
