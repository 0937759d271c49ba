// Any bytes as what is said of a file: what is taken from them can be written as a header, and
// reads the same.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "homeserver/base/values/bytes.h"
#include "media/files/describe.h"

namespace polder::media {
namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

void check(std::string_view text) {
  const size_t end = text.find('\n');
  const std::string_view rest = end == std::string_view::npos ? "" : text.substr(end + 1);
  const Description what = describe_remote(text.substr(0, end), rest);
  require(!what.content_type.empty() && base::is_utf8(what.file_name));
  const std::string header = content_disposition(what);
  for (const char c : what.content_type + header)
    require(c >= ' ' && c < 0x7f);
  require(file_name_of(header) == what.file_name);
}

}  // namespace
}  // namespace polder::media

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  polder::media::check({reinterpret_cast<const char*>(data), size});
  return 0;
}
