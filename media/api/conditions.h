// Conditions and ranges of a request for a file (RFC 9110, sections 13 and 14). Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "homeserver/base/http/message.h"

namespace polder::media_api {

// Whether the client has this version already: If-None-Match.
bool is_unchanged(const http::Headers& headers, std::string_view etag);

struct Range {
  uint64_t first = 0;
  uint64_t length = 0;
};
enum class RangeKind : uint8_t { kWhole, kPart, kUnsatisfiable };
struct Wanted {
  RangeKind kind = RangeKind::kWhole;
  Range range;  // within the file, of kWhole and kPart
};
// Which part of a file of this size is wanted. More than one range, or anything else that is not
// understood, is as if nothing was said.
Wanted wanted_range(const http::Headers& headers, std::string_view etag, uint64_t size);

}  // namespace polder::media_api
