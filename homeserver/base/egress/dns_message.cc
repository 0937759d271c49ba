#include "homeserver/base/egress/dns_message.h"

#include <ares.h>

namespace polder::egress {
namespace {

constexpr size_t kHeaderBytes = 12;
constexpr uint16_t kTypeSrv = 33;
constexpr uint16_t kClassInternet = 1;
constexpr size_t kServicesMax = 32;

// Takes fields off a message. After any that is not there, ok() is false.
class Reader {
 public:
  explicit Reader(std::span<const uint8_t> message) : message_(message) {}
  bool ok() const { return ok_; }
  size_t place() const { return place_; }
  void skip(size_t count) {
    if (count > message_.size() - place_) {
      ok_ = false;
      place_ = message_.size();
    } else {
      place_ += count;
    }
  }
  uint16_t u16() {
    const size_t at = place_;
    skip(2);
    return ok_ ? static_cast<uint16_t>(message_[at] << 8 | message_[at + 1]) : uint16_t{0};
  }
  uint32_t u32() {
    const uint32_t high = u16();
    return high << 16 | u16();
  }
  // A name, possibly compressed.
  std::string name() {
    char* text = nullptr;
    long taken = 0;
    if (!ok_ || place_ >= message_.size() ||
        ares_expand_name(message_.data() + place_, message_.data(),
                         static_cast<int>(message_.size()), &text, &taken) != ARES_SUCCESS) {
      ok_ = false;
      return {};
    }
    std::string name(text);
    ares_free_string(text);
    skip(static_cast<size_t>(taken));
    return name;
  }

 private:
  std::span<const uint8_t> message_;
  size_t place_ = 0;
  bool ok_ = true;
};

}  // namespace

Result<Services> parse_services(std::span<const uint8_t> message) {
  if (message.size() < kHeaderBytes || message.size() > 65535)
    return fail(ErrorCode::kMalformed, "no DNS message");
  Reader reader(message);
  reader.skip(4);
  const uint16_t questions = reader.u16();
  const uint16_t answers = reader.u16();
  reader.skip(4);
  for (uint16_t i = 0; i < questions && reader.ok(); ++i) {
    reader.name();
    reader.skip(4);
  }
  Services found;
  found.ttl = std::chrono::hours(24);
  for (uint16_t i = 0; i < answers && reader.ok() && found.services.size() < kServicesMax; ++i) {
    reader.name();
    const uint16_t type = reader.u16();
    const uint16_t klass = reader.u16();
    const std::chrono::seconds ttl(reader.u32());
    const uint16_t length = reader.u16();
    const size_t end = reader.place() + length;
    if (type == kTypeSrv && klass == kClassInternet) {
      Service service;
      service.priority = reader.u16();
      service.weight = reader.u16();
      service.port = reader.u16();
      service.target = reader.name();
      if (!reader.ok() || reader.place() != end) break;
      found.services.push_back(std::move(service));
      found.ttl = std::min(found.ttl, ttl);
    } else {
      reader.skip(length);
    }
  }
  if (!reader.ok()) return fail(ErrorCode::kMalformed, "the DNS message is cut off");
  if (found.services.empty()) return fail(ErrorCode::kNotFound, "no SRV record");
  return found;
}

}  // namespace polder::egress
