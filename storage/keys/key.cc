#include "storage/keys/key.h"

namespace polder::keys {
namespace {

template <class T>
void append_big_endian(std::string& out, T value) {
  for (size_t shift = sizeof(T) * 8; shift > 0; shift -= 8) {
    out.push_back(static_cast<char>(value >> (shift - 8) & 255));
  }
}

uint64_t read_big_endian(std::string_view bytes) {
  uint64_t value = 0;
  for (const char c : bytes)
    value = value << 8 | static_cast<uint8_t>(c);
  return value;
}

}  // namespace

KeyWriter& KeyWriter::u8(uint8_t value) {
  bytes_.push_back(static_cast<char>(value));
  return *this;
}

KeyWriter& KeyWriter::u32(uint32_t value) {
  append_big_endian(bytes_, value);
  return *this;
}

KeyWriter& KeyWriter::u64(uint64_t value) {
  append_big_endian(bytes_, value);
  return *this;
}

KeyWriter& KeyWriter::descending(uint64_t value) {
  return u64(~value);
}

KeyWriter& KeyWriter::text(std::string_view value) {
  if (value.size() > kMaxKeyText) std::abort();
  u8(static_cast<uint8_t>(value.size() >> 8));
  u8(static_cast<uint8_t>(value.size() & 255));
  bytes_.append(value);
  return *this;
}

KeyWriter& KeyWriter::tail(std::string_view value) {
  bytes_.append(value);
  return *this;
}

KeyWriter& KeyWriter::position(kv::PositionSlot slot) {
  patches_.push_back({bytes_.size(), slot});
  return u64(0);
}

std::string_view KeyReader::take(size_t count) {
  if (!ok_ || rest_.size() < count) {
    ok_ = false;
    return {};
  }
  const std::string_view part = rest_.substr(0, count);
  rest_.remove_prefix(count);
  return part;
}

uint8_t KeyReader::u8() {
  return static_cast<uint8_t>(read_big_endian(take(1)));
}
uint32_t KeyReader::u32() {
  return static_cast<uint32_t>(read_big_endian(take(4)));
}
uint64_t KeyReader::u64() {
  return read_big_endian(take(8));
}
std::string_view KeyReader::text() {
  return take(read_big_endian(take(2)));
}
std::string_view KeyReader::tail() {
  return take(rest_.size());
}

}  // namespace polder::keys
