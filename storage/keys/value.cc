#include "storage/keys/value.h"

#include "storage/keys/key.h"

namespace polder::keys {

ValueWriter& ValueWriter::varint(uint64_t value) {
  while (value >= 0x80) {
    bytes_.push_back(static_cast<char>((value & 0x7F) | 0x80));
    value >>= 7;
  }
  bytes_.push_back(static_cast<char>(value));
  return *this;
}

ValueWriter& ValueWriter::signed_varint(int64_t value) {
  const auto bits = static_cast<uint64_t>(value);
  return varint(value < 0 ? ~(bits << 1) : bits << 1);
}

ValueWriter& ValueWriter::fixed64(uint64_t value) {
  for (int shift = 56; shift >= 0; shift -= 8)
    bytes_.push_back(static_cast<char>(value >> shift & 255));
  return *this;
}

ValueWriter& ValueWriter::text(std::string_view value) {
  varint(value.size());
  return tail(value);
}

ValueWriter& ValueWriter::tail(std::string_view value) {
  bytes_.append(value);
  return *this;
}

ValueWriter& ValueWriter::position(kv::PositionSlot slot) {
  patches_.push_back({bytes_.size(), slot});
  return fixed64(0);
}

ValueReader::ValueReader(std::string_view bytes, uint8_t format) : rest_(bytes) {
  const std::string_view first = take(1);
  if (first.empty() || static_cast<uint8_t>(first[0]) != format) ok_ = false;
}

std::string_view ValueReader::take(uint64_t count) {
  if (!ok_ || rest_.size() < count) {
    ok_ = false;
    return {};
  }
  const std::string_view part = rest_.substr(0, count);
  rest_.remove_prefix(count);
  return part;
}

uint64_t ValueReader::varint() {
  uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    const std::string_view byte = take(1);
    if (byte.empty()) return 0;
    const auto bits = static_cast<uint8_t>(byte[0]);
    if (shift == 63 && bits > 1) break;  // more than 64 bits
    value |= uint64_t{bits & 0x7Fu} << shift;
    if ((bits & 0x80) == 0) return value;
  }
  ok_ = false;
  return 0;
}

int64_t ValueReader::signed_varint() {
  const uint64_t bits = varint();
  return static_cast<int64_t>((bits & 1) != 0 ? ~(bits >> 1) : bits >> 1);
}

uint64_t ValueReader::fixed64() {
  uint64_t value = 0;
  for (const char c : take(8))
    value = value << 8 | static_cast<uint8_t>(c);
  return value;
}

std::string_view ValueReader::text() {
  return take(varint());
}
std::string_view ValueReader::tail() {
  return take(rest_.size());
}

Status ValueReader::finish(std::string_view what) const {
  if (at_end()) return {};
  return fail(ErrorCode::kCorrupt, std::string("damaged record: ").append(what));
}

void put(kv::Batch& batch, kv::ColumnId column, const KeyWriter& key, const ValueWriter& value) {
  batch.put(column, key.str(), key.patches(), value.str(), value.patches());
}

}  // namespace polder::keys
