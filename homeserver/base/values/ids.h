// Identifiers of the protocol, each a type of its own
// (https://spec.matrix.org/v1.19/appendices/#identifier-grammar).
//
// Every parse() is the rule for what other servers may send: historical grammars are accepted,
// sizes and structure are enforced. What this server creates itself obeys the stricter is_*()
// rules.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>

#include "homeserver/base/values/result.h"

namespace polder::base {

inline constexpr size_t kMaxIdBytes = 255;  // user, room, event ids and aliases, in UTF-8 bytes

// Base of all identifiers: a string that was checked once. Empty only if default-constructed.
template <class Derived>
class Id {
 public:
  Id() = default;
  const std::string& str() const { return text_; }
  std::string_view view() const { return text_; }
  bool empty() const { return text_.empty(); }
  friend bool operator==(const Derived& a, const Derived& b) { return a.str() == b.str(); }
  friend auto operator<=>(const Derived& a, const Derived& b) { return a.str() <=> b.str(); }
  friend std::ostream& operator<<(std::ostream& out, const Derived& id) { return out << id.str(); }

  // For text that is known to be right: what was parsed before it was stored, and tests.
  static Derived trusted(std::string text) {
    Derived id;
    id.text_ = std::move(text);
    return id;
  }

 protected:
  std::string text_;
};

// hostname [":" port] (https://spec.matrix.org/v1.19/appendices/#server-name).
class ServerName : public Id<ServerName> {
 public:
  static Result<ServerName> parse(std::string_view text);
  std::string_view host() const;  // brackets of an IPv6 literal included
  std::optional<uint16_t> port() const;
  bool is_ip_literal() const;
};

// "@" localpart ":" server name.
class UserId : public Id<UserId> {
 public:
  static Result<UserId> parse(std::string_view text);
  // "@localpart:server" from its parts; kInvalid unless the localpart is one that new users may
  // have.
  static Result<UserId> create(std::string_view localpart, const ServerName& server);
  static bool is_new_localpart(std::string_view localpart);  // a-z 0-9 . _ = - / +, not empty
  std::string_view localpart() const;
  std::string_view server() const;
};

// "!" opaque ":" server name, or, from room version 12 on, "!" and a reference hash.
class RoomId : public Id<RoomId> {
 public:
  static Result<RoomId> parse(std::string_view text);
  // The server that created the room; nothing for a room id that is a hash.
  std::optional<std::string_view> server() const;
};

// "$" and an opaque part (room versions 1 and 2: with ":" server name; later: a reference hash).
class EventId : public Id<EventId> {
 public:
  static Result<EventId> parse(std::string_view text);
  std::optional<std::string_view> server() const;
};

// "#" localpart ":" server name.
class RoomAlias : public Id<RoomAlias> {
 public:
  static Result<RoomAlias> parse(std::string_view text);
  std::string_view localpart() const;
  std::string_view server() const;
};

// An opaque string that a client or the server chose; 1 to 255 bytes, no control characters.
class DeviceId : public Id<DeviceId> {
 public:
  static Result<DeviceId> parse(std::string_view text);
};

// algorithm ":" name, as in "ed25519:abc"
// (https://spec.matrix.org/v1.19/appendices/#cryptographic-key-representation).
class KeyId : public Id<KeyId> {
 public:
  static Result<KeyId> parse(std::string_view text);
  std::string_view algorithm() const;
  std::string_view name() const;
};

// "mxc://" server name "/" media id
// (https://spec.matrix.org/v1.19/client-server-api/#matrix-content-mxc-uris).
class MxcUri : public Id<MxcUri> {
 public:
  static Result<MxcUri> parse(std::string_view text);
  static bool is_media_id(std::string_view text);  // A-Z a-z 0-9 _ -, 1 to 255: no path tricks
  std::string_view server() const;
  std::string_view media_id() const;
};

}  // namespace polder::base

namespace polder {
using base::DeviceId;
using base::EventId;
using base::KeyId;
using base::MxcUri;
using base::RoomAlias;
using base::RoomId;
using base::ServerName;
using base::UserId;
}  // namespace polder

#define POLDER_HASH_ID(Type)                                         \
  template <>                                                        \
  struct std::hash<polder::base::Type> {                             \
    size_t operator()(const polder::base::Type& id) const noexcept { \
      return std::hash<std::string>()(id.str());                     \
    }                                                                \
  }
POLDER_HASH_ID(ServerName);
POLDER_HASH_ID(UserId);
POLDER_HASH_ID(RoomId);
POLDER_HASH_ID(EventId);
POLDER_HASH_ID(RoomAlias);
POLDER_HASH_ID(DeviceId);
POLDER_HASH_ID(KeyId);
POLDER_HASH_ID(MxcUri);
#undef POLDER_HASH_ID
