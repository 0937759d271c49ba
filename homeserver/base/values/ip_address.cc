#include "homeserver/base/values/ip_address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace polder::base {

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  if (text.size() >= INET6_ADDRSTRLEN || text.find('\0') != std::string_view::npos)
    return std::nullopt;
  const std::string copy(text);
  IpAddress address;
  if (inet_pton(AF_INET, copy.c_str(), address.bytes_.data()) == 1) return address;
  address.size_ = 16;
  if (inet_pton(AF_INET6, copy.c_str(), address.bytes_.data()) == 1) return address;
  return std::nullopt;
}

std::string IpAddress::str() const {
  char text[INET6_ADDRSTRLEN] = {};
  inet_ntop(is_v4() ? AF_INET : AF_INET6, bytes_.data(), text, sizeof text);
  return text;
}

IpAddress IpAddress::unmapped() const {
  constexpr std::array<uint8_t, 12> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (is_v4() || !same_prefix(bytes(), kMapped, 96)) return *this;
  IpAddress inner;
  std::copy_n(bytes_.begin() + 12, 4, inner.bytes_.begin());
  return inner;
}

IpAddress IpAddress::prefix(size_t bits) const {
  IpAddress out = *this;
  for (size_t i = 0; i < size_; ++i) {
    const size_t kept = std::clamp<size_t>(bits, i * 8, i * 8 + 8) - i * 8;
    out.bytes_[i] &= static_cast<uint8_t>(0xff00 >> kept);
  }
  return out;
}

bool same_prefix(std::span<const uint8_t> a, std::span<const uint8_t> b, size_t bits) {
  const size_t whole = bits / 8;
  if (std::memcmp(a.data(), b.data(), whole) != 0) return false;
  if (bits % 8 == 0) return true;
  const auto mask = static_cast<uint8_t>(0xff00 >> (bits % 8));
  return (a[whole] & mask) == (b[whole] & mask);
}

Result<IpRange> IpRange::parse(std::string_view text) {
  const size_t slash = std::min(text.find('/'), text.size());
  const auto base = IpAddress::parse(text.substr(0, slash));
  IpRange range;
  if (base) range.base_ = *base;
  range.bits_ = range.base_.bytes().size() * 8;
  bool good = base.has_value();
  if (slash < text.size()) {
    size_t bits = 0;
    const auto [end, error] =
        std::from_chars(text.data() + slash + 1, text.data() + text.size(), bits);
    good = good && error == std::errc() && end == text.data() + text.size() && bits <= range.bits_;
    range.bits_ = bits;
  }
  if (!good)
    return fail(ErrorCode::kMalformed, "\"" + std::string(text) +
                                           "\" is neither an IP address nor a range such as " +
                                           "10.0.0.0/8");
  return range;
}

bool IpRange::contains(const IpAddress& address) const {
  return address.is_v4() == base_.is_v4() && same_prefix(address.bytes(), base_.bytes(), bits_);
}

}  // namespace polder::base
