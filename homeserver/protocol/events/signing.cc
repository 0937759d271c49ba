#include "homeserver/protocol/events/signing.h"

#include <algorithm>

#include "homeserver/base/crypto/hash.h"
#include "homeserver/base/json/write.h"
#include "homeserver/base/values/bytes.h"

namespace polder::events {
namespace {

// Canonical JSON of all members but these: nothing is copied that is not written.
std::string write_without(const json::Object& object,
                          std::initializer_list<std::string_view> keys) {
  std::string out;
  json::Writer writer(out);
  writer.begin_object();
  for (const auto& [key, value] : object) {
    if (std::ranges::find(keys, key) == keys.end()) writer.key(key).value(value);
  }
  writer.end_object();
  return out;
}

void add_signature(json::Object& object, std::string_view entity, const KeyId& key,
                   const crypto::Signature& signature) {
  if (object.find_object("signatures") == nullptr) object.set("signatures", json::Object());
  json::Object& signatures = *object.find("signatures")->as_object();
  if (signatures.find_object(entity) == nullptr)
    signatures.set(std::string(entity), json::Object());
  signatures.find(entity)->as_object()->set(key.str(), base::base64_encode(signature));
}

}  // namespace

Digest content_hash(const json::Object& pdu) {
  return crypto::sha256(write_without(pdu, {"unsigned", "signatures", "hashes"}));
}

Digest reference_hash(const json::Object& pdu, const RoomVersionRules& rules) {
  return crypto::sha256(signed_bytes_of_event(pdu, rules));
}

EventId event_id_of(const json::Object& pdu, const RoomVersionRules& rules) {
  const auto alphabet = rules.event_ids == EventIdFormat::kReferenceHash ? base::Base64::kStandard
                                                                         : base::Base64::kUrlSafe;
  return EventId::trusted("$" + base::base64_encode(reference_hash(pdu, rules), alphabet));
}

bool content_hash_matches(const json::Object& pdu) {
  const json::Object* hashes = pdu.find_object("hashes");
  const std::string* claimed = hashes != nullptr ? hashes->find_string("sha256") : nullptr;
  if (claimed == nullptr) return false;
  const auto raw = base::base64_decode(*claimed);
  return raw.ok() && *raw == as_text(content_hash(pdu));
}

void hash_and_sign(json::Object& pdu, const RoomVersionRules& rules, const ServerName& server,
                   const crypto::SigningKey& key) {
  const std::string hash = base::base64_encode(content_hash(pdu));
  pdu.set("hashes", json::object({{"sha256", hash}}));
  sign_event(pdu, rules, server, key);
}

void sign_event(json::Object& pdu, const RoomVersionRules& rules, const ServerName& server,
                const crypto::SigningKey& key) {
  add_signature(pdu, server.view(), key.id(), key.sign(signed_bytes_of_event(pdu, rules)));
}

std::vector<SignatureRef> signatures_of(const json::Object& object) {
  std::vector<SignatureRef> found;
  const json::Object* signatures = object.find_object("signatures");
  if (signatures == nullptr) return found;
  for (const auto& [entity, by_key] : *signatures) {
    if (by_key.as_object() == nullptr) continue;
    for (const auto& [key_text, signature_value] : *by_key.as_object()) {
      auto key = KeyId::parse(key_text);
      if (!key.ok() || key->algorithm() != "ed25519" || signature_value.as_string() == nullptr)
        continue;
      const auto signature = crypto::signature_from_base64(*signature_value.as_string());
      if (signature.ok()) found.push_back({entity, *std::move(key), *signature});
    }
  }
  return found;
}

// https://spec.matrix.org/v1.19/server-server-api/#validating-hashes-and-signatures-on-received-events
std::vector<ServerName> required_signers(const Event& event) {
  std::vector<ServerName> servers;
  const auto add = [&](std::string_view name) {
    const ServerName server = ServerName::trusted(std::string(name));
    if (std::ranges::find(servers, server) == servers.end()) servers.push_back(server);
  };
  const bool is_member = event.is("m.room.member");
  // The sender's server, unless it is an invite that follows from a third-party invite.
  const bool third_party =
      is_member && event.membership() == "invite" && event.content().contains("third_party_invite");
  if (!third_party) add(event.sender().server());
  // Versions 1 and 2: the server that gave the event id.
  if (event.rules().event_ids == EventIdFormat::kServerGiven) {
    if (const auto server = event.id().server()) add(*server);
  }
  // From version 8 on: the server of the user who authorised a restricted join.
  if (event.rules().restricted_joins && is_member && event.membership() == "join") {
    const std::string* authoriser = event.content().find_string("join_authorised_via_users_server");
    const auto user = authoriser != nullptr ? UserId::parse(*authoriser)
                                            : Result<UserId>(fail(ErrorCode::kMissing, ""));
    if (user.ok()) add(user->server());
  }
  return servers;
}

std::string signed_bytes_of_json(const json::Object& object) {
  return write_without(object, {"signatures", "unsigned"});
}

void sign_json(json::Object& object, std::string_view entity, const crypto::SigningKey& key) {
  add_signature(object, entity, key.id(), key.sign(signed_bytes_of_json(object)));
}

bool verify_json(const json::Object& object, std::string_view entity, const KeyId& key_id,
                 const crypto::VerifyKey& key) {
  const auto signatures = signatures_of(object);
  const auto found = std::ranges::find_if(signatures, [&](const SignatureRef& signature) {
    return signature.entity == entity && signature.key == key_id;
  });
  return found != signatures.end() && key.verify(signed_bytes_of_json(object), found->signature);
}

}  // namespace polder::events
