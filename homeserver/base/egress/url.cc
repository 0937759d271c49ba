#include "homeserver/base/egress/url.h"

#include <algorithm>
#include <charconv>

#include "homeserver/base/egress/address.h"

namespace polder::egress {
namespace {

constexpr size_t kUrlMax = 8192;

bool is_host_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_';
}

Error bad() {
  return fail(ErrorCode::kMalformed, "not an http or https URL");
}

Status parse_authority(std::string_view text, Url& url) {
  std::string_view port;
  if (text.starts_with('[')) {
    const size_t end = text.find(']');
    if (end == std::string_view::npos) return bad();
    url.host = text.substr(1, end - 1);
    if (url.host.find(':') == std::string::npos || !is_address(url.host)) return bad();
    text.remove_prefix(end + 1);
    if (!text.empty() && text[0] != ':') return bad();
    port = text.empty() ? text : text.substr(1);
  } else {
    const size_t colon = text.find(':');
    url.host = text.substr(0, colon);
    if (url.host.empty() || url.host.size() > 255 || !std::ranges::all_of(url.host, is_host_char))
      return bad();
    port = colon == std::string_view::npos ? std::string_view() : text.substr(colon + 1);
  }
  url.port = url.tls ? 443 : 80;
  if (port.empty()) return {};
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), url.port);
  if (error != std::errc() || end != port.data() + port.size() || url.port == 0) return bad();
  url.default_port = false;
  return {};
}

}  // namespace

std::string Url::authority() const {
  std::string text = host.find(':') == std::string::npos ? host : "[" + host + "]";
  if (!default_port) text += ":" + std::to_string(port);
  return text;
}

bool is_target(std::string_view text) {
  return text.starts_with('/') && text.size() <= kUrlMax &&
         std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f; });
}

bool is_authority(std::string_view text) {
  return !text.empty() && text.size() <= 300 && std::ranges::all_of(text, [](char c) {
    return is_host_char(c) || c == '[' || c == ']' || c == ':';
  });
}

Result<Url> parse_url(std::string_view text) {
  Url url;
  if (text.size() > kUrlMax) return bad();
  if (text.starts_with("http://")) {
    url.tls = false;
    text.remove_prefix(7);
  } else if (text.starts_with("https://")) {
    text.remove_prefix(8);
  } else {
    return bad();
  }
  text = text.substr(0, text.find('#'));
  const size_t end = std::min(text.find_first_of("/?"), text.size());
  POLDER_CHECK(parse_authority(text.substr(0, end), url));
  url.target = text.substr(end);
  if (!url.target.starts_with('/')) url.target.insert(0, "/");
  if (!is_target(url.target)) return bad();
  return url;
}

Result<Url> follow_location(const Url& from, std::string_view location) {
  if (location.starts_with("//")) {
    return parse_url(std::string(from.tls ? "https:" : "http:").append(location));
  }
  if (!location.starts_with('/')) return parse_url(location);
  Url url = from;
  url.target = location.substr(0, location.find('#'));
  if (!is_target(url.target)) return bad();
  return url;
}

}  // namespace polder::egress
