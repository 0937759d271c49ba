// Runs a fuzz target that makes its inputs from a few bytes, on the numbers from FIRST on: as fast
// as it goes, without libFuzzer's feedback.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s FIRST COUNT\n", argv[0]);
    return 2;
  }
  constexpr uint64_t kReported = 1'000'000;
  const uint64_t first = std::strtoull(argv[1], nullptr, 10);
  const uint64_t count = std::strtoull(argv[2], nullptr, 10);
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t number = first + i;
    LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(&number), sizeof number);
    if ((i + 1) % kReported == 0)
      std::fprintf(stderr, "%llu of %llu\n", static_cast<unsigned long long>(i + 1),
                   static_cast<unsigned long long>(count));
  }
  return 0;
}
