#include "homeserver/base/values/ids.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

#include "homeserver/base/values/bytes.h"

namespace polder::base {
namespace {

constexpr size_t kMaxHostBytes =
    230;  // the specification's bound for a server name without sigil and localpart

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_alpha(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_alnum(char c) {
  return is_digit(c) || is_alpha(c);
}

bool is_ipv6_literal(std::string_view host) {
  if (host.size() < 4 || !host.starts_with('[') || !host.ends_with(']')) return false;
  const std::string inner(host.substr(1, host.size() - 2));
  in6_addr address{};
  return inet_pton(AF_INET6, inner.c_str(), &address) == 1;
}

bool is_ipv4_literal(std::string_view host) {
  in_addr address{};
  return inet_pton(AF_INET, std::string(host).c_str(), &address) == 1;
}

bool is_dns_name(std::string_view host) {
  return !host.empty() && host.size() <= kMaxHostBytes &&
         std::ranges::all_of(host, [](char c) { return is_alnum(c) || c == '-' || c == '.'; });
}

// Splits "host[:port]"; the port part excludes the colon and is nullopt if there is none.
std::pair<std::string_view, std::optional<std::string_view>> split_port(std::string_view text) {
  const size_t from = text.starts_with('[') ? text.find(']') : 0;
  if (from == std::string_view::npos) return {text, std::nullopt};
  const size_t colon = text.find(':', from);
  if (colon == std::string_view::npos) return {text, std::nullopt};
  return {text.substr(0, colon), text.substr(colon + 1)};
}

std::optional<uint16_t> parse_port(std::string_view text) {
  unsigned port = 0;
  if (text.empty() || text.size() > 5 || !std::ranges::all_of(text, is_digit)) return std::nullopt;
  std::from_chars(text.data(), text.data() + text.size(), port);
  if (port > 65535) return std::nullopt;
  return static_cast<uint16_t>(port);
}

bool has_no_nul_and_is_utf8(std::string_view text) {
  return text.find('\0') == std::string_view::npos && is_utf8(text);
}

Error bad(std::string_view what, std::string_view why) {
  return fail(ErrorCode::kInvalid, std::string(what).append(" ").append(why));
}

// The rules that ids of the form sigil, localpart, ":", server name share.
Status check_with_server(std::string_view what, char sigil, std::string_view text) {
  if (!text.starts_with(sigil)) return bad(what, "does not start with its sigil");
  if (text.size() > kMaxIdBytes) return bad(what, "is longer than 255 bytes");
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos) return bad(what, "has no server name");
  if (!has_no_nul_and_is_utf8(text.substr(0, colon))) return bad(what, "has forbidden characters");
  POLDER_CHECK(ServerName::parse(text.substr(colon + 1)));
  return {};
}

std::string_view before_colon(std::string_view text) {
  return text.substr(1, text.find(':') - 1);
}
std::string_view after_colon(std::string_view text) {
  return text.substr(text.find(':') + 1);
}

}  // namespace

Result<ServerName> ServerName::parse(std::string_view text) {
  if (text.empty() || text.size() > kMaxIdBytes) return bad("server name", "is empty or too long");
  const auto [host, port] = split_port(text);
  if (port && !parse_port(*port)) return bad("server name", "has a bad port");
  if (!is_ipv6_literal(host) && !is_dns_name(host)) return bad("server name", "has a bad host");
  return trusted(std::string(text));
}

std::string_view ServerName::host() const {
  return split_port(view()).first;
}

std::optional<uint16_t> ServerName::port() const {
  const auto port = split_port(view()).second;
  return port ? parse_port(*port) : std::nullopt;
}

bool ServerName::is_ip_literal() const {
  return is_ipv6_literal(host()) || is_ipv4_literal(host());
}

Result<UserId> UserId::parse(std::string_view text) {
  POLDER_CHECK(check_with_server("user id", '@', text));
  return trusted(std::string(text));
}

bool UserId::is_new_localpart(std::string_view localpart) {
  constexpr std::string_view kOthers = "._=-/+";
  return !localpart.empty() && std::ranges::all_of(localpart, [&](char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || kOthers.find(c) != std::string_view::npos;
  });
}

Result<UserId> UserId::create(std::string_view localpart, const ServerName& server) {
  if (!is_new_localpart(localpart))
    return bad("user id", "must have a localpart of a-z 0-9 . _ = - / + only");
  return parse(std::string("@").append(localpart).append(":").append(server.view()));
}

std::string_view UserId::localpart() const {
  return before_colon(view());
}
std::string_view UserId::server() const {
  return after_colon(view());
}

Result<RoomId> RoomId::parse(std::string_view text) {
  if (text.find(':') != std::string_view::npos) {
    POLDER_CHECK(check_with_server("room id", '!', text));
    return trusted(std::string(text));
  }
  // Room version 12: the reference hash of the create event, 32 bytes of URL-safe base64.
  const auto hash = text.starts_with('!') ? base64_decode(text.substr(1), Base64::kUrlSafe)
                                          : Result<Bytes>(bad("room id", "has no sigil"));
  if (!hash.ok() || hash->size() != 32) return bad("room id", "has neither server name nor hash");
  return trusted(std::string(text));
}

std::optional<std::string_view> RoomId::server() const {
  if (view().find(':') == std::string_view::npos) return std::nullopt;
  return after_colon(view());
}

Result<EventId> EventId::parse(std::string_view text) {
  if (!text.starts_with('$') || text.size() < 2) return bad("event id", "does not start with $");
  if (text.size() > kMaxIdBytes) return bad("event id", "is longer than 255 bytes");
  if (!has_no_nul_and_is_utf8(text)) return bad("event id", "has forbidden characters");
  return trusted(std::string(text));
}

std::optional<std::string_view> EventId::server() const {
  if (view().find(':') == std::string_view::npos) return std::nullopt;
  return after_colon(view());
}

Result<RoomAlias> RoomAlias::parse(std::string_view text) {
  POLDER_CHECK(check_with_server("room alias", '#', text));
  return trusted(std::string(text));
}

std::string_view RoomAlias::localpart() const {
  return before_colon(view());
}
std::string_view RoomAlias::server() const {
  return after_colon(view());
}

Result<DeviceId> DeviceId::parse(std::string_view text) {
  if (text.empty() || text.size() > kMaxIdBytes) return bad("device id", "is empty or too long");
  if (!is_utf8(text) ||
      std::ranges::any_of(text, [](char c) { return static_cast<uint8_t>(c) < 32; })) {
    return bad("device id", "has forbidden characters");
  }
  return trusted(std::string(text));
}

Result<KeyId> KeyId::parse(std::string_view text) {
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0 || colon + 1 == text.size() ||
      text.size() > kMaxIdBytes) {
    return bad("key id", "is not algorithm:name");
  }
  if (!has_no_nul_and_is_utf8(text)) return bad("key id", "has forbidden characters");
  return trusted(std::string(text));
}

std::string_view KeyId::algorithm() const {
  return view().substr(0, view().find(':'));
}
std::string_view KeyId::name() const {
  return after_colon(view());
}

bool MxcUri::is_media_id(std::string_view text) {
  return !text.empty() && text.size() <= kMaxIdBytes &&
         std::ranges::all_of(text, [](char c) { return is_alnum(c) || c == '_' || c == '-'; });
}

Result<MxcUri> MxcUri::parse(std::string_view text) {
  constexpr std::string_view kScheme = "mxc://";
  if (!text.starts_with(kScheme)) return bad("content URI", "does not start with mxc://");
  const std::string_view rest = text.substr(kScheme.size());
  const size_t slash = rest.find('/');
  if (slash == std::string_view::npos) return bad("content URI", "has no media id");
  POLDER_CHECK(ServerName::parse(rest.substr(0, slash)));
  if (!is_media_id(rest.substr(slash + 1))) return bad("content URI", "has a bad media id");
  return trusted(std::string(text));
}

std::string_view MxcUri::server() const {
  const std::string_view rest = view().substr(6);
  return rest.substr(0, rest.find('/'));
}

std::string_view MxcUri::media_id() const {
  return view().substr(view().rfind('/') + 1);
}

}  // namespace polder::base
