// Any bytes: what is accepted is written back as JSON that reads the same, and the two modes of
// numbers differ in nothing else.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "homeserver/base/json/parse.h"
#include "homeserver/base/json/write.h"

namespace polder::json {
namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

void check_round_trip(const Value& value, Numbers numbers) {
  const std::string text = write(value);
  const auto again = parse(text, {.numbers = numbers});
  require(again.ok() && *again == value && write(*again) == text);
}

void check(std::string_view text) {
  const auto any = parse(text, {.numbers = Numbers::kAny});
  const auto canonical = parse(text, {.numbers = Numbers::kCanonical});
  if (any.ok()) check_round_trip(*any, Numbers::kAny);
  if (canonical.ok()) {
    require(any.ok() && *any == *canonical && is_canonical(*canonical));
    check_round_trip(*canonical, Numbers::kCanonical);
  } else if (any.ok()) {
    // "-0" reads as zero, and is refused where only canonical forms are taken.
    const bool minus_zero = text.find("-0") != std::string_view::npos;
    require(canonical.error().code == ErrorCode::kInvalid && (!is_canonical(*any) || minus_zero));
  }
}

}  // namespace
}  // namespace polder::json

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  polder::json::check({reinterpret_cast<const char*>(data), size});
  return 0;
}
