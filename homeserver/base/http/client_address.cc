#include "homeserver/base/http/client_address.h"

#include <algorithm>

namespace polder::http {
namespace {

constexpr std::string_view kHeader = "X-Forwarded-For";

bool is_forwarded_for(std::string_view name) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c; };
  return std::ranges::equal(name, kHeader, {}, lower, lower);
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t";
  text.remove_prefix(std::min(text.find_first_not_of(kBlank), text.size()));
  return text.substr(0, text.find_last_not_of(kBlank) + 1);
}

// From left to right. Several fields of the name are one list (RFC 9110, section 5.3).
std::vector<std::string_view> hops_of(const Headers& headers) {
  std::vector<std::string_view> hops;
  for (const auto& [name, value] : headers) {
    if (!is_forwarded_for(name)) continue;
    for (size_t start = 0; start <= value.size();) {
      const size_t comma = std::min(value.find(',', start), value.size());
      hops.push_back(trim(std::string_view(value).substr(start, comma - start)));
      start = comma + 1;
    }
  }
  return hops;
}

// Some proxies write the port too: "192.0.2.1:1234", "[2001:db8::1]:1234".
std::optional<IpAddress> address_of(std::string_view hop) {
  if (hop.starts_with('[')) return IpAddress::parse(hop.substr(1, hop.find(']') - 1));
  if (std::ranges::count(hop, ':') == 1) hop = hop.substr(0, hop.find(':'));
  return IpAddress::parse(hop);
}

}  // namespace

std::string client_address(std::string_view peer, const Headers& headers,
                           const std::vector<IpRange>& trusted_proxies) {
  auto address = IpAddress::parse(peer);
  if (!address) return std::string(peer);
  const auto trusted = [&](const IpAddress& hop) {
    return std::ranges::any_of(trusted_proxies, [&](const IpRange& r) { return r.contains(hop); });
  };
  address = address->unmapped();
  if (!trusted(*address)) return address->str();
  const auto hops = hops_of(headers);
  for (size_t i = hops.size(); i > 0 && trusted(*address); --i) {
    const auto before = address_of(hops[i - 1]);
    if (!before) break;  // "unknown", or rubbish: it came from the proxy, more is not known
    address = before->unmapped();
  }
  return address->str();
}

}  // namespace polder::http
