// Addresses of the internet protocol and ranges of them, as values. Pure; thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "homeserver/base/values/result.h"

namespace polder::base {

// IPv4 or IPv6, without a zone.
class IpAddress {
 public:
  // The textual form without brackets or zone. Shorthands such as "127.1" or "2130706433" are none.
  static std::optional<IpAddress> parse(std::string_view text);

  bool is_v4() const { return size_ == 4; }
  std::span<const uint8_t> bytes() const { return {bytes_.data(), size_}; }  // network order
  std::string str() const;
  // The IPv4 address that an IPv6 socket reports as ::ffff:192.0.2.1; any other is itself.
  IpAddress unmapped() const;
  // The address with all but the first bits zero.
  IpAddress prefix(size_t bits) const;

  friend bool operator==(const IpAddress&, const IpAddress&) = default;

 private:
  std::array<uint8_t, 16> bytes_{};
  uint8_t size_ = 4;
};

// Whether the first bits are the same; both are at least as long.
bool same_prefix(std::span<const uint8_t> a, std::span<const uint8_t> b, size_t bits);

// All addresses with a common prefix.
class IpRange {
 public:
  // "10.0.0.0/8", "2001:db8::/32", or one address. kMalformed.
  static Result<IpRange> parse(std::string_view text);

  bool contains(const IpAddress& address) const;

 private:
  IpAddress base_;
  size_t bits_ = 0;
};

}  // namespace polder::base

namespace polder {
using base::IpAddress;
using base::IpRange;
}  // namespace polder
