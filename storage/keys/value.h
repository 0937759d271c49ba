// Values on disk: a format byte, then fields in a fixed order. docs/formats/encoding.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "homeserver/base/values/result.h"
#include "storage/kv/kv.h"

namespace polder::keys {

class ValueWriter {
 public:
  explicit ValueWriter(uint8_t format) { bytes_.push_back(static_cast<char>(format)); }

  ValueWriter& varint(uint64_t value);        // LEB128
  ValueWriter& signed_varint(int64_t value);  // zigzag
  ValueWriter& boolean(bool value) { return varint(value ? 1 : 0); }
  ValueWriter& fixed64(uint64_t value);          // big-endian
  ValueWriter& text(std::string_view value);     // varint length, bytes
  ValueWriter& tail(std::string_view value);     // bytes to the end of the value
  ValueWriter& position(kv::PositionSlot slot);  // filled in at commit; read as fixed64

  const std::string& str() const { return bytes_; }
  operator std::string_view() const { return bytes_; }  // NOLINT: a value is its bytes
  std::span<const kv::Batch::Patch> patches() const { return patches_; }

 private:
  std::string bytes_;
  std::vector<kv::Batch::Patch> patches_;
};

// After any field that is not there, ok() is false and every field is zero or empty. Text is copied
// out by the caller where it must outlive the bytes.
class ValueReader {
 public:
  // The value must begin with this format byte.
  ValueReader(std::string_view bytes, uint8_t format);

  uint64_t varint();
  int64_t signed_varint();
  bool boolean() { return varint() != 0; }
  uint64_t fixed64();
  std::string_view text();
  std::string_view tail();
  bool ok() const { return ok_; }
  bool at_end() const { return ok_ && rest_.empty(); }
  // kCorrupt, naming what was read, unless all of it was there.
  Status finish(std::string_view what) const;

 private:
  std::string_view take(uint64_t count);
  std::string_view rest_;
  bool ok_ = true;
};

// batch.put() of a key and a value that may hold position slots.
void put(kv::Batch& batch, kv::ColumnId column, const class KeyWriter& key,
         const ValueWriter& value);

}  // namespace polder::keys
