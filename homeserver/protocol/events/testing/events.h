// Keys and events that the tests of this module share.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "homeserver/base/crypto/keys.h"
#include "homeserver/base/json/parse.h"
#include "homeserver/base/json/value.h"
#include "homeserver/base/values/ids.h"
#include "homeserver/protocol/events/event.h"
#include "homeserver/protocol/events/room_version.h"

namespace polder::events {

inline const RoomVersionRules& version(std::string_view id) {
  return *find_room_version(id);
}

// The key and the server of https://spec.matrix.org/v1.19/appendices/#cryptographic-test-vectors
inline crypto::SigningKey spec_key() {
  return std::move(*crypto::SigningKey::from_seed(KeyId::trusted("ed25519:1"),
                                                  "YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1"));
}

inline const ServerName kDomain = ServerName::trusted("domain");

// The form of a room id in version 12.
inline constexpr std::string_view kHashRoomId = "!31hneApxJ_1o-63DmFrpeqnkFfWppnzWso1JvH3ogLM";

// A PDU of versions 3 to 11 with one thing changed.
inline json::Object pdu_with(std::string_view key, json::Value value) {
  json::Object pdu = *json::parse_object(
      R"({"type":"m.room.message","sender":"@a:domain","room_id":"!r:domain","content":{"body":"x"},"depth":5,"origin_server_ts":7,
          "prev_events":["$p"],"auth_events":["$a"],"hashes":{"sha256":"x"},"signatures":{}})");
  if (!key.empty()) pdu.set(std::string(key), std::move(value));
  return pdu;
}

}  // namespace polder::events
