// multipart/mixed, in which media travels between servers.
// https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1mediadownloadmediaid
// RFC 2046, section 5.1. Pure; thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "homeserver/base/values/result.h"

namespace polder::wire {

struct Part {
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string_view body;                                     // into the text that was read

  std::string_view header(std::string_view lower_case_name) const;  // empty if absent
};

// The parts of a body with that Content-Type. kUnsupported if it is no multipart/mixed, kMalformed,
// kTooLarge beyond max parts or absurd headers.
Result<std::vector<Part>> read_multipart(std::string_view content_type, std::string_view body,
                                         size_t parts_max);

// What goes before and after the bytes of a file, so that they can be streamed between.
struct MultipartFrame {
  std::string content_type;
  std::string head;
  std::string tail;
};
// Of a body of two parts: {}, and the file with these headers. The boundary is 1 to 70 letters that
// the file's maker cannot have guessed. Headers that could not stand on one line are left out.
MultipartFrame frame_media(std::string_view boundary,
                           const std::vector<std::pair<std::string, std::string>>& headers);

}  // namespace polder::wire
