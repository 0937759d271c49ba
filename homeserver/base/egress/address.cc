#include "homeserver/base/egress/address.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "homeserver/base/values/ip_address.h"

namespace polder::egress {
namespace {

using V4 = std::array<uint8_t, 4>;
using V6 = std::array<uint8_t, 16>;

struct V4Range {
  V4 base;
  size_t bits;
};
struct V6Range {
  V6 base;
  size_t bits;
};

// https://www.iana.org/assignments/iana-ipv4-special-registry
constexpr std::array<V4Range, 16> kSpecialV4 = {{
    {{0, 0, 0, 0}, 8},        // this network
    {{10, 0, 0, 0}, 8},       // private
    {{100, 64, 0, 0}, 10},    // shared by carriers
    {{127, 0, 0, 0}, 8},      // loopback
    {{169, 254, 0, 0}, 16},   // link-local; clouds' metadata
    {{172, 16, 0, 0}, 12},    // private
    {{192, 0, 0, 0}, 24},     // protocol assignments
    {{192, 0, 2, 0}, 24},     // documentation
    {{192, 31, 196, 0}, 24},  // AS112
    {{192, 52, 193, 0}, 24},  // AMT
    {{192, 88, 99, 0}, 24},   // 6to4 relays
    {{192, 168, 0, 0}, 16},   // private
    {{198, 18, 0, 0}, 15},    // benchmarks
    {{198, 51, 100, 0}, 24},  // documentation
    {{203, 0, 113, 0}, 24},   // documentation
    {{224, 0, 0, 0}, 3},      // multicast, reserved, broadcast
}};

// https://www.iana.org/assignments/iana-ipv6-special-registry: within the global unicast range.
constexpr std::array<V6Range, 3> kSpecialV6 = {{
    {{0x20, 0x01, 0x00}, 23},        // protocol assignments: Teredo, ORCHID, benchmarks
    {{0x20, 0x01, 0x0d, 0xb8}, 32},  // documentation
    {{0x3f, 0xff, 0x00}, 20},        // documentation
}};

bool is_public(const V4& address) {
  for (const V4Range& range : kSpecialV4) {
    if (base::same_prefix(address, range.base, range.bits)) return false;
  }
  return true;
}

V4 embedded(const V6& address, size_t offset) {
  V4 inner{};
  std::memcpy(inner.data(), address.data() + offset, inner.size());
  return inner;
}

bool is_public(const V6& address) {
  // NAT64: its well-known prefix is outside the global range, and leads to the IPv4 address inside.
  constexpr V6 kNat64 = {0x00, 0x64, 0xff, 0x9b};
  if (base::same_prefix(address, kNat64, 96)) return is_public(embedded(address, 12));
  constexpr V6 kGlobal = {0x20};
  if (!base::same_prefix(address, kGlobal, 3))
    return false;  // mapped, compatible, ULA, link-local, ...
  for (const V6Range& range : kSpecialV6) {
    if (base::same_prefix(address, range.base, range.bits)) return false;
  }
  constexpr V6 k6to4 = {0x20, 0x02};
  if (base::same_prefix(address, k6to4, 16)) return is_public(embedded(address, 2));
  // ISATAP: the interface id is 0:5efe or 200:5efe and an IPv4 address.
  const bool isatap =
      (address[8] & 0xFD) == 0 && address[9] == 0 && address[10] == 0x5e && address[11] == 0xfe;
  return !isatap || is_public(embedded(address, 12));
}

}  // namespace

bool is_address(std::string_view text) {
  return base::IpAddress::parse(text).has_value();
}

bool is_public_address(std::string_view text) {
  const auto address = base::IpAddress::parse(text);
  if (!address) return false;
  const auto bytes = address->bytes();
  V4 v4{};
  V6 v6{};
  std::ranges::copy(bytes, address->is_v4() ? v4.begin() : v6.begin());
  return address->is_v4() ? is_public(v4) : is_public(v6);
}

std::string network_of(std::string_view text) {
  const auto address = base::IpAddress::parse(text);
  if (!address) return std::string(text);
  constexpr size_t kNetworkBytes = 8;
  const auto bytes = address->bytes();
  const size_t size = address->is_v4() ? bytes.size() : kNetworkBytes;
  return std::string(reinterpret_cast<const char*>(bytes.data()), size);
}

}  // namespace polder::egress
