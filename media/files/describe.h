// What is said of a file besides its bytes: its type and its name. Pure; thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "homeserver/base/values/result.h"

namespace polder::media {

inline constexpr std::string_view kDefaultType = "application/octet-stream";
inline constexpr size_t kContentTypeMax = 255;  // bytes
inline constexpr size_t kFileNameMax = 1000;    // bytes, as it is kept

struct Description {
  std::string content_type;
  std::string file_name;  // empty: none
};

// As a client says it; nothing said is the default. kInvalid for what could not stand in a header,
// kTooLarge.
Result<Description> describe(std::string_view content_type, std::string_view file_name);
// As another server says it in its headers; what is of no use is left out.
Description describe_remote(std::string_view content_type, std::string_view disposition);

// Content-Disposition of an answer: `inline` only for types that browsers show without running
// anything in them.
// https://spec.matrix.org/v1.19/client-server-api/#serving-inline-content
std::string content_disposition(const Description& what);
// The file name in such a header (RFC 6266); empty if there is none.
std::string file_name_of(std::string_view disposition);

}  // namespace polder::media
