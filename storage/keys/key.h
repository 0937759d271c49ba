// Keys on disk: tag | big-endian integers | length-prefixed strings, so that bytes sort as the
// parts do. docs/formats/encoding.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "homeserver/base/values/result.h"
#include "storage/kv/kv.h"

namespace polder::keys {

inline constexpr size_t kMaxKeyText = 65535;  // bytes of one length-prefixed string

// Appends the parts of a key, in order. Longer text than kMaxKeyText is a bug.
class KeyWriter {
 public:
  KeyWriter() = default;
  explicit KeyWriter(uint8_t tag) { u8(tag); }

  KeyWriter& u8(uint8_t value);
  KeyWriter& u32(uint32_t value);
  KeyWriter& u64(uint64_t value);
  KeyWriter& descending(uint64_t value);       // larger numbers sort first
  KeyWriter& text(std::string_view value);     // u16 length, bytes
  KeyWriter& tail(std::string_view value);     // bytes to the end of the key
  KeyWriter& position(kv::PositionSlot slot);  // filled in at commit; as u64

  const std::string& str() const { return bytes_; }
  operator std::string_view() const { return bytes_; }  // NOLINT: a key is its bytes
  std::span<const kv::Batch::Patch> patches() const { return patches_; }

 private:
  std::string bytes_;
  std::vector<kv::Batch::Patch> patches_;
};

// Takes the parts off again. After any part that is not there, ok() is false and every part is zero
// or empty.
class KeyReader {
 public:
  explicit KeyReader(std::string_view bytes) : rest_(bytes) {}

  uint8_t u8();
  uint32_t u32();
  uint64_t u64();
  uint64_t descending() { return ~u64(); }
  std::string_view text();  // into the bytes
  std::string_view tail();
  bool ok() const { return ok_; }
  bool at_end() const { return ok_ && rest_.empty(); }

 private:
  std::string_view take(size_t count);
  std::string_view rest_;
  bool ok_ = true;
};

}  // namespace polder::keys
