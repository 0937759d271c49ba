// Which addresses of the network may be talked to. Pure; thread-safe.
#pragma once

#include <string>
#include <string_view>

namespace polder::egress {

// An IPv4 or IPv6 address in its textual form, without brackets or zone. Shorthands such as "127.1"
// or "2130706433" are none.
bool is_address(std::string_view text);

// True if the address belongs to the public internet. False for loopback, private, link-local,
// carrier, documentation, multicast and reserved ranges, also where IPv6 carries them inside
// (mapped, compatible, 6to4, Teredo, NAT64, ISATAP), and for what is no address at all.
bool is_public_address(std::string_view text);

// What is likely one host's: the address itself, of IPv6 the network of 64 bits.
std::string network_of(std::string_view address);

}  // namespace polder::egress
