#include "homeserver/protocol/events/signing.h"

#include "homeserver/base/json/parse.h"
#include "homeserver/base/json/write.h"
#include "homeserver/protocol/events/testing/events.h"

namespace polder::events {
namespace {

// https://spec.matrix.org/v1.19/appendices/#json-signing and #event-signing
TEST(Signing, MatchesTheSpecificationsJsonVectors) {
  json::Object empty;
  sign_json(empty, "domain", spec_key());
  EXPECT_EQ(
      json::write(empty),
      R"({"signatures":{"domain":{"ed25519:1":"K8280/U9SSy9IVtjBuVeLr+HpOB4BQFWbg+UZaADMtTdGYI7Geitb76LTrr5QV/7Xg4ahLwYGYZzuHGZKM5ZAQ"}}})");
  json::Object object = *json::parse_object(R"({"one":1,"two":"Two"})");
  sign_json(object, "domain", spec_key());
  EXPECT_EQ(
      *json::at(object, {"signatures", "domain", "ed25519:1"})->as_string(),
      "KqmLSbO39/Bzb0QIYE82zqLwsA+PDzYIpIRA2sRQ4sL53+sN6/fpNSoqE7BP7vBZhG6kYdD13EIMJpvhJI+6Bw");
  EXPECT_TRUE(verify_json(object, "domain", KeyId::trusted("ed25519:1"), spec_key().verify_key()));
  object.set("one", 2);
  EXPECT_FALSE(verify_json(object, "domain", KeyId::trusted("ed25519:1"), spec_key().verify_key()));
}

TEST(Signing, MatchesTheSpecificationsEventVectors) {
  json::Object minimal = *json::parse_object(
      R"({"room_id":"!x:domain","sender":"@a:domain","origin":"domain","origin_server_ts":1000000,"signatures":{},"hashes":{},
          "type":"X","content":{},"prev_events":[],"auth_events":[],"depth":3,"unsigned":{"age_ts":1000000}})");
  hash_and_sign(minimal, version("1"), kDomain, spec_key());
  EXPECT_EQ(*json::at(minimal, {"hashes", "sha256"})->as_string(),
            "5jM4wQpv6lnBo7CLIghJuHdW+s2CMBJPUOGOC89ncos");
  EXPECT_EQ(
      *json::at(minimal, {"signatures", "domain", "ed25519:1"})->as_string(),
      "KxwGjPSDEtvnFgU00fwFz+l6d2pJM6XBIaMEn81SXPTRl16AqLAYqfIReFGZlHi5KLjAWbOoMszkwsQma+lYAg");
  EXPECT_TRUE(content_hash_matches(minimal));

  json::Object redactable = *json::parse_object(
      R"({"content":{"body":"Here is the message content"},"event_id":"$0:domain","origin":"domain","origin_server_ts":1000000,
          "type":"m.room.message","room_id":"!r:domain","sender":"@u:domain","signatures":{},"unsigned":{"age_ts":1000000}})");
  hash_and_sign(redactable, version("1"), kDomain, spec_key());
  EXPECT_EQ(*json::at(redactable, {"hashes", "sha256"})->as_string(),
            "onLKD1bGljeBWQhWZ1kaP9SorVmRQNdN5aM2JYU2n/g");
  EXPECT_EQ(
      *json::at(redactable, {"signatures", "domain", "ed25519:1"})->as_string(),
      "Wm+VzmOUOz08Ds+0NTWb1d4CZrVsJSikkeRxh6aCcUwu6pNC78FunoD7KNWzqFn241eYHYMGCA5McEiVPdhzBA");
  redactable.find("content")->as_object()->set("body", "another");
  EXPECT_FALSE(content_hash_matches(redactable));
}

TEST(RequiredSigners, AreThoseOfTheSpecification) {
  const auto signers = [](json::Object pdu, std::string_view v) {
    std::vector<std::string> names;
    const auto event = Event::parse(std::move(pdu), version(v));
    for (const ServerName& name : required_signers(**event))
      names.push_back(name.str());
    return names;
  };
  using Names = std::vector<std::string>;
  EXPECT_EQ(signers(pdu_with("", {}), "10"), Names{"domain"});
  json::Object member = pdu_with("type", "m.room.member");
  member.set("state_key", "@b:other");
  member.set("content", json::object({{"membership", "join"},
                                      {"join_authorised_via_users_server", "@c:third"}}));
  EXPECT_EQ(signers(member, "10"), (Names{"domain", "third"}));
  EXPECT_EQ(signers(member, "7"), Names{"domain"});
  member.set("content",
             json::object({{"membership", "invite"}, {"third_party_invite", json::Object()}}));
  EXPECT_EQ(signers(member, "10"), Names{});
  json::Object old = pdu_with("event_id", "$x:giver");
  old.set("prev_events", json::Array());
  old.set("auth_events", json::Array());
  EXPECT_EQ(signers(old, "1"), (Names{"domain", "giver"}));
}

TEST(SignaturesOf, SkipsWhatIsMalformed) {
  const json::Object object = *json::parse_object(
      R"({"signatures":{"a":{"ed25519:1":"AAAA","rsa:1":"x","bad":"x","ed25519:2":5},"b":"x","c":{"ed25519:3":"K8280/U9SSy9IVtjBuVeLr+HpOB4BQFWbg+UZaADMtTdGYI7Geitb76LTrr5QV/7Xg4ahLwYGYZzuHGZKM5ZAQ"}}})");
  const auto found = signatures_of(object);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].entity, "c");
  EXPECT_TRUE(signatures_of(*json::parse_object(R"({"signatures":[]})")).empty());
}

// What hash and signatures cover, and what they do not: a redacted copy verifies, keeps its id, and
// is told apart by its content hash.
TEST(Signing, SurvivesRedactionInEveryVersion) {
  for (const auto& rules : room_versions()) {
    json::Object pdu = pdu_with("unsigned", json::object({{"age", 5}}));
    if (rules.event_ids == EventIdFormat::kServerGiven) {
      pdu.set("event_id", "$x:domain");
      pdu.set("prev_events", json::Array());
      pdu.set("auth_events", json::Array());
    }
    if (rules.room_id_is_create_hash) pdu.set("room_id", std::string(kHashRoomId));
    hash_and_sign(pdu, rules, kDomain, spec_key());
    const auto event = *Event::parse(pdu, rules);
    EXPECT_TRUE(content_hash_matches(event->object())) << rules.id;

    const auto redacted = *Event::parse(redact(event->object(), rules), rules);
    EXPECT_EQ(redacted->id(), event->id()) << rules.id;
    EXPECT_FALSE(content_hash_matches(redacted->object())) << rules.id;
    for (const EventPtr& copy : {event, redacted}) {
      const auto signatures = signatures_of(copy->object());
      ASSERT_EQ(signatures.size(), 1u);
      EXPECT_TRUE(spec_key().verify_key().verify(signed_bytes_of_event(copy->object(), rules),
                                                 signatures[0].signature));
    }
    for (const char* key : {"sender", "type", "depth", "origin_server_ts", "hashes"}) {
      json::Object forged = event->object();
      forged.set(key, "forged");
      EXPECT_FALSE(spec_key().verify_key().verify(signed_bytes_of_event(forged, rules),
                                                  signatures_of(forged)[0].signature))
          << key << " in version " << rules.id;
    }
  }
}

TEST(Signing, ASecondSignatureLeavesTheFirstAndTheId) {
  const auto& rules = version("11");
  json::Object pdu = pdu_with("", {});
  hash_and_sign(pdu, rules, kDomain, spec_key());
  const EventId id = event_id_of(pdu, rules);
  const json::Value first = *json::at(pdu, {"signatures", "domain"});
  sign_event(pdu, rules, ServerName::trusted("other"), spec_key());
  EXPECT_EQ(event_id_of(pdu, rules), id);
  EXPECT_EQ(*json::at(pdu, {"signatures", "domain"}), first);
  EXPECT_EQ(signatures_of(pdu).size(), 2u);
}

TEST(ContentHash, OfWhatIsNoHashDoesNotMatch) {
  json::Object pdu = pdu_with("", {});
  for (const char* hashes : {R"({})", R"([])", R"({"sha256":5})", R"({"sha256":""})",
                             R"({"sha256":"!"})", R"({"sha256":"AAAA"})", R"({"sha512":"x"})"}) {
    pdu.set("hashes", *json::parse(hashes));
    EXPECT_FALSE(content_hash_matches(pdu)) << hashes;
  }
  pdu.erase("hashes");
  EXPECT_FALSE(content_hash_matches(pdu));
}

TEST(VerifyJson, NeedsTheRightEntityKeyAndSignature) {
  json::Object object = *json::parse_object(R"({"one":1,"unsigned":{"age":1}})");
  const auto key = spec_key();
  EXPECT_FALSE(verify_json(object, "domain", key.id(), key.verify_key()));
  sign_json(object, "domain", key);
  EXPECT_TRUE(verify_json(object, "domain", key.id(), key.verify_key()));
  EXPECT_FALSE(verify_json(object, "Domain", key.id(), key.verify_key()));
  EXPECT_FALSE(verify_json(object, "domain", KeyId::trusted("ed25519:2"), key.verify_key()));
  object.set("unsigned", 2);
  EXPECT_TRUE(verify_json(object, "domain", key.id(), key.verify_key()));
  object.set("signatures", *json::parse(R"({"domain":{"ed25519:1":"AAAA"}})"));
  EXPECT_FALSE(verify_json(object, "domain", key.id(), key.verify_key()));
}

}  // namespace
}  // namespace polder::events
