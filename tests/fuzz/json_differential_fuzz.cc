// Any bytes, and texts that are nearly JSON and begin from them: the reader means by each what the
// plainest one means.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "homeserver/base/json/testing/agreement.h"
#include "homeserver/base/json/testing/random_text.h"

namespace polder::json {
namespace {

// Less than the generator nests now and then.
constexpr int kDepthMax = 9;
constexpr int kMutants = 7;

void check(std::string_view text) {
  if (readers_agree(text, kDepthMax)) return;
  std::fprintf(stderr, "the readers differ on %s\n", base::hex_encode(as_bytes(text)).c_str());
  std::abort();
}

// FNV-1a.
uint64_t seed_of(std::string_view bytes) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const char byte : bytes)
    hash = (hash ^ static_cast<uint8_t>(byte)) * 0x100000001b3u;
  return hash;
}

}  // namespace
}  // namespace polder::json

// Eight texts besides the input.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace polder::json;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  check(input);
  RandomText random(seed_of(input));
  check(random.next());
  for (int i = 0; i < kMutants; ++i)
    check(random.mutated());
  return 0;
}
