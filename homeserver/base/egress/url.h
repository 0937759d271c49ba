// URLs of HTTP requests. Pure; thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "homeserver/base/values/result.h"

namespace polder::egress {

struct Url {
  bool tls = true;
  std::string host;  // name, or IP address without brackets
  uint16_t port = 443;
  bool default_port = true;
  std::string target = "/";  // path and query

  // As a Host header has it.
  std::string authority() const;
};

// An absolute http or https URL without user and password; a fragment is dropped. kMalformed
// otherwise.
Result<Url> parse_url(std::string_view text);

// Where a Location header leads, seen from a URL.
Result<Url> follow_location(const Url& from, std::string_view location);

// "/path?query" in printable ASCII without spaces: what may stand in a request line.
bool is_target(std::string_view text);
// What may stand in a Host header.
bool is_authority(std::string_view text);

}  // namespace polder::egress
