// Hashes, signatures and redaction of events, and signatures of any JSON.
// https://spec.matrix.org/v1.19/server-server-api/#signing-events
// https://spec.matrix.org/v1.19/appendices/#signing-json
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "homeserver/base/crypto/keys.h"
#include "homeserver/base/json/value.h"
#include "homeserver/base/values/ids.h"
#include "homeserver/protocol/events/event.h"
#include "homeserver/protocol/events/room_version.h"

namespace polder::events {

// The event without what redaction removes, by the rules of its room version
// (https://spec.matrix.org/v1.19/client-server-api/#redactions and each room version's page).
json::Object redact(const json::Object& pdu, const RoomVersionRules& rules);
// The same event, redacted.
Result<EventPtr> redacted(const Event& event);

// https://spec.matrix.org/v1.19/server-server-api/#calculating-the-content-hash-for-an-event
Digest content_hash(const json::Object& pdu);
// https://spec.matrix.org/v1.19/server-server-api/#calculating-the-reference-hash-for-an-event
Digest reference_hash(const json::Object& pdu, const RoomVersionRules& rules);
EventId event_id_of(const json::Object& pdu, const RoomVersionRules& rules);  // versions from 3 on

// True if `hashes.sha256` is the event's content hash.
bool content_hash_matches(const json::Object& pdu);

// Adds hashes and the server's signature to a PDU that this server built itself.
void hash_and_sign(json::Object& pdu, const RoomVersionRules& rules, const ServerName& server,
                   const crypto::SigningKey& key);
// Adds the server's signature to an event whose hash is there already (an invite that it accepted).
void sign_event(json::Object& pdu, const RoomVersionRules& rules, const ServerName& server,
                const crypto::SigningKey& key);

// One signature that an object carries.
struct SignatureRef {
  std::string entity;  // server name, or user id
  KeyId key;
  crypto::Signature signature;
};
// All well-formed ed25519 signatures of the object, in canonical order.
std::vector<SignatureRef> signatures_of(const json::Object& object);

// The servers whose signature the specification asks for ("checks performed on receipt of a PDU",
// step 2 and
// https://spec.matrix.org/v1.19/server-server-api/#validating-hashes-and-signatures-on-received-events):
// the sender's (but for third-party invites), for versions 1 and 2 the event id's, and for
// restricted joins the one of join_authorised_via_users_server.
std::vector<ServerName> required_signers(const Event& event);

// The bytes that an event's signatures sign: the redacted event without signatures, unsigned and
// age_ts.
std::string signed_bytes_of_event(const json::Object& pdu, const RoomVersionRules& rules);
// The bytes that a signature on any JSON object signs: canonical, without `signatures` and
// `unsigned`.
std::string signed_bytes_of_json(const json::Object& object);

void sign_json(json::Object& object, std::string_view entity, const crypto::SigningKey& key);
// True if the object carries a right signature of the entity with this key.
bool verify_json(const json::Object& object, std::string_view entity, const KeyId& key_id,
                 const crypto::VerifyKey& key);

}  // namespace polder::events
