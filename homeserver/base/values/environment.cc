#include "homeserver/base/values/environment.h"

#include <sodium.h>

#include <array>
#include <cstdlib>

namespace polder::base {

int64_t SystemClock::wall_ms() const {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

std::chrono::nanoseconds SystemClock::steady() const {
  return std::chrono::steady_clock::now().time_since_epoch();
}

uint64_t Random::next_u64() {
  std::array<uint8_t, 8> raw{};
  fill(raw);
  uint64_t value = 0;
  for (const uint8_t byte : raw)
    value = value << 8 | byte;
  return value;
}

uint64_t Random::below(uint64_t bound) {
  if (bound == 0) std::abort();
  // Values below this are dropped, so that each remainder is equally likely.
  const uint64_t reject_below = (0 - bound) % bound;
  for (;;) {
    const uint64_t value = next_u64();
    if (value >= reject_below) return value % bound;
  }
}

std::string Random::letters(size_t count) {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  constexpr size_t kTaken = 256 / kLetters.size() * kLetters.size();  // each equally likely
  // Many at once: each question may be one to the kernel.
  std::string out;
  while (out.size() < count) {
    for (const char c : bytes(count - out.size())) {
      const auto byte = static_cast<uint8_t>(c);
      if (byte < kTaken) out += kLetters[byte % kLetters.size()];
    }
  }
  return out;
}

std::string Random::bytes(size_t count) {
  std::string out(count, '\0');
  fill({reinterpret_cast<uint8_t*>(out.data()), out.size()});
  return out;
}

void SystemRandom::fill(std::span<uint8_t> out) {
  // Thread-safe and idempotent; it fails only where the kernel has no randomness to give.
  static const bool ready = sodium_init() >= 0;
  if (!ready) std::abort();
  randombytes_buf(out.data(), out.size());
}

void Log::debug(std::string_view event, std::initializer_list<LogField> fields) {
  if (enabled(LogLevel::kDebug)) write(LogLevel::kDebug, event, {fields.begin(), fields.size()});
}
void Log::info(std::string_view event, std::initializer_list<LogField> fields) {
  if (enabled(LogLevel::kInfo)) write(LogLevel::kInfo, event, {fields.begin(), fields.size()});
}
void Log::warning(std::string_view event, std::initializer_list<LogField> fields) {
  if (enabled(LogLevel::kWarning))
    write(LogLevel::kWarning, event, {fields.begin(), fields.size()});
}
void Log::error(std::string_view event, std::initializer_list<LogField> fields) {
  if (enabled(LogLevel::kError)) write(LogLevel::kError, event, {fields.begin(), fields.size()});
}

}  // namespace polder::base
