#include "homeserver/events/event.h"

#include "homeserver/base/bytes.h"
#include "homeserver/events/client_format.h"
#include "homeserver/events/signing.h"
#include "homeserver/json/parse.h"
#include "homeserver/json/write.h"

namespace polder::events {
namespace {

const RoomVersionRules& version(std::string_view id) {
  return *find_room_version(id);
}

crypto::SigningKey spec_key() {
  return std::move(*crypto::SigningKey::from_seed(KeyId::trusted("ed25519:1"),
                                                  "YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1"));
}

const ServerName kDomain = ServerName::trusted("domain");

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

TEST(RoomVersions, AreOneToTwelve) {
  EXPECT_EQ(room_versions().size(), 12u);
  for (int number = 1; number <= 12; ++number) {
    const RoomVersionRules* rules = find_room_version(std::to_string(number));
    ASSERT_NE(rules, nullptr);
    EXPECT_EQ(rules->event_ids == EventIdFormat::kServerGiven, number <= 2);
    EXPECT_EQ(rules->event_ids == EventIdFormat::kReferenceHash, number == 3);
    EXPECT_EQ(rules->strict_canonical_json, number >= 6);
    EXPECT_EQ(rules->enforce_key_validity, number >= 5);
    EXPECT_EQ(rules->aliases_special_case, number <= 5);
    EXPECT_EQ(rules->redaction_by_event_id_domain, number <= 2);
    EXPECT_EQ(rules->check_notifications_levels, number >= 6);
    EXPECT_EQ(rules->knocking, number >= 7);
    EXPECT_EQ(rules->restricted_joins, number >= 8);
    EXPECT_EQ(rules->knock_restricted, number >= 10);
    EXPECT_EQ(rules->integer_power_levels, number >= 10);
    EXPECT_EQ(rules->creator_is_sender, number >= 11);
    EXPECT_EQ(rules->room_id_is_create_hash, number >= 12);
    EXPECT_EQ(rules->privileged_creators, number >= 12);
  }
  EXPECT_EQ(find_room_version("13"), nullptr);
  EXPECT_EQ(find_room_version(""), nullptr);
  EXPECT_EQ(find_room_version("org.matrix.hydra.11"), nullptr);
}

// What is left of a content by version: the first version from which on each row holds.
struct RedactionCase {
  std::string type;
  std::string content;
  int from, to;
  std::string kept;
};

TEST(Redaction, KeepsWhatEachVersionKeeps) {
  const std::string member =
      R"({"membership":"join","displayname":"x","join_authorised_via_users_server":"@a:b","third_party_invite":{"display_name":"d","signed":{"token":"t"}}})";
  const std::string levels =
      R"({"ban":1,"events":{"a":2},"events_default":3,"invite":4,"kick":5,"notifications":{"room":50},"redact":6,"state_default":7,"users":{},"users_default":8})";
  const std::vector<RedactionCase> cases = {
      {"m.room.member", member, 1, 8, R"({"membership":"join"})"},
      {"m.room.member", member, 9, 10,
       R"({"join_authorised_via_users_server":"@a:b","membership":"join"})"},
      {"m.room.member", member, 11, 12,
       R"({"join_authorised_via_users_server":"@a:b","membership":"join","third_party_invite":{"signed":{"token":"t"}}})"},
      {"m.room.member", R"({"third_party_invite":{"display_name":"d"}})", 1, 12, "{}"},
      {"m.room.create", R"({"creator":"@a:b","m.federate":false})", 1, 10, R"({"creator":"@a:b"})"},
      {"m.room.create", R"({"creator":"@a:b","m.federate":false})", 11, 12,
       R"({"creator":"@a:b","m.federate":false})"},
      {"m.room.join_rules", R"({"allow":[],"join_rule":"restricted","x":1})", 1, 7,
       R"({"join_rule":"restricted"})"},
      {"m.room.join_rules", R"({"allow":[],"join_rule":"restricted","x":1})", 8, 12,
       R"({"allow":[],"join_rule":"restricted"})"},
      {"m.room.power_levels", levels, 1, 10,
       R"({"ban":1,"events":{"a":2},"events_default":3,"kick":5,"redact":6,"state_default":7,"users":{},"users_default":8})"},
      {"m.room.power_levels", levels, 11, 12,
       R"({"ban":1,"events":{"a":2},"events_default":3,"invite":4,"kick":5,"redact":6,"state_default":7,"users":{},"users_default":8})"},
      {"m.room.aliases", R"({"aliases":["#a:b"],"x":1})", 1, 5, R"({"aliases":["#a:b"]})"},
      {"m.room.aliases", R"({"aliases":["#a:b"],"x":1})", 6, 12, "{}"},
      {"m.room.history_visibility", R"({"history_visibility":"shared","x":1})", 1, 12,
       R"({"history_visibility":"shared"})"},
      {"m.room.redaction", R"({"redacts":"$a","reason":"x"})", 1, 10, "{}"},
      {"m.room.redaction", R"({"redacts":"$a","reason":"x"})", 11, 12, R"({"redacts":"$a"})"},
      {"m.room.message", R"({"body":"x"})", 1, 12, "{}"},
  };
  for (const RedactionCase& c : cases) {
    for (int number = c.from; number <= c.to; ++number) {
      const json::Object pdu{{"type", c.type}, {"content", *json::parse_object(c.content)}};
      const json::Object redacted = redact(pdu, version(std::to_string(number)));
      EXPECT_EQ(json::write(*redacted.find_object("content")), c.kept)
          << c.type << " in version " << number;
      EXPECT_EQ(redact(redacted, version(std::to_string(number))), redacted);
    }
  }
}

TEST(Redaction, StripsTheTopLevelByVersion) {
  json::Object pdu{{"type", "x"},
                   {"content", json::Object()},
                   {"origin", "a"},
                   {"membership", "join"},
                   {"prev_state", json::Array()},
                   {"redacts", "$a"},
                   {"unsigned", json::Object()},
                   {"depth", 1},
                   {"custom", 1}};
  EXPECT_EQ(
      json::write(redact(pdu, version("10"))),
      R"({"content":{},"depth":1,"membership":"join","origin":"a","prev_state":[],"type":"x"})");
  EXPECT_EQ(json::write(redact(pdu, version("11"))), R"({"content":{},"depth":1,"type":"x"})");
}

// A PDU of version 10 with one thing changed.
json::Object pdu_with(std::string_view key, json::Value value) {
  json::Object pdu = *json::parse_object(
      R"({"type":"m.room.message","sender":"@a:domain","room_id":"!r:domain","content":{"body":"x"},"depth":5,"origin_server_ts":7,
          "prev_events":["$p"],"auth_events":["$a"],"hashes":{"sha256":"x"},"signatures":{}})");
  if (!key.empty()) pdu.set(std::string(key), std::move(value));
  return pdu;
}

TEST(EventParse, RefusesWhatBreaksTheFormat) {
  const auto ids = [](size_t count) {
    json::Array array;
    for (size_t i = 0; i < count; ++i)
      array.push_back("$" + std::to_string(i));
    return array;
  };
  const std::vector<std::pair<std::string, json::Value>> cases = {
      {"type", 1},
      {"type", std::string(256, 'x')},
      {"sender", "alice"},
      {"sender", nullptr},
      {"sender", "@" + std::string(250, 'a') + ":domain"},
      {"room_id", "!r"},
      {"room_id", "r:domain"},
      {"room_id", json::Object()},
      {"state_key", 1},
      {"state_key", nullptr},
      {"state_key", std::string(256, 'x')},
      {"content", json::Array()},
      {"content", "text"},
      {"depth", -1},
      {"depth", "5"},
      {"depth", json::kMaxCanonicalInt + 1},
      {"depth", json::Number{"1e3"}},
      {"origin_server_ts", -1},
      {"origin_server_ts", nullptr},
      {"prev_events", ids(21)},
      {"prev_events", json::Array{1}},
      {"prev_events", json::Array{"not-an-id"}},
      {"prev_events", json::Array(1, json::Array{"$a", json::Object()})},
      {"prev_events", "x"},
      {"auth_events", ids(11)},
      {"auth_events", json::Object()},
      {"hashes", "x"},
      {"signatures", json::Array()},
      {"content", json::object({{"number", json::Number{"1.5"}}})},
      {"content", json::object({{"body", std::string(65536, 'x')}})},
  };
  for (const auto& [key, value] : cases) {
    EXPECT_FALSE(Event::parse(pdu_with(key, value), version("10")).ok())
        << key << " " << json::write(value).substr(0, 60);
  }
  for (const char* key : {"type", "sender", "room_id", "content", "depth", "origin_server_ts",
                          "prev_events", "auth_events", "hashes", "signatures"}) {
    json::Object pdu = pdu_with("", {});
    pdu.erase(key);
    EXPECT_FALSE(Event::parse(std::move(pdu), version("10")).ok()) << "without " << key;
  }
  EXPECT_TRUE(Event::parse(pdu_with("prev_events", ids(20)), version("10")).ok());
  EXPECT_TRUE(Event::parse(pdu_with("depth", json::kMaxCanonicalInt), version("10")).ok());
}

TEST(EventParse, DropsWhatNoSignatureCoversAndKeepsTheRest) {
  json::Object pdu = pdu_with("unsigned", json::object({{"age", 5}}));
  pdu.set("age_ts", 9);
  pdu.set("event_id", "$forged");
  pdu.set("custom", "kept");
  const auto event = Event::parse(json::write(pdu), version("10"));
  ASSERT_TRUE(event.ok()) << event.error().message;
  EXPECT_FALSE((*event)->object().contains("unsigned"));
  EXPECT_FALSE((*event)->object().contains("event_id"));
  EXPECT_EQ(*(*event)->object().find_string("custom"), "kept");
  EXPECT_EQ((*event)->id().str().size(), 44u);
  EXPECT_EQ((*Event::parse((*event)->json(), version("10")))->id(), (*event)->id());
}

TEST(EventParse, EventIdsFollowTheVersion) {
  json::Object pdu = pdu_with("content", json::object({{"body", "\x3f\x3f\x3f>>>>"}}));
  const auto v3 = Event::parse(pdu, version("3"));
  const auto v4 = Event::parse(pdu, version("4"));
  const Bytes raw3 = *base::base64_decode((*v3)->id().view().substr(1), base::Base64::kStandard);
  const Bytes raw4 = *base::base64_decode((*v4)->id().view().substr(1), base::Base64::kUrlSafe);
  EXPECT_EQ(raw3, raw4);
  EXPECT_FALSE(Event::parse(pdu, version("1")).ok());
  pdu.set("event_id", "$abc:domain");
  pdu.set("prev_events", json::Array(1, json::Array{"$p:domain", json::object({{"sha256", "x"}})}));
  pdu.set("auth_events", json::Array());
  const auto v1 = Event::parse(pdu, version("1"));
  ASSERT_TRUE(v1.ok()) << v1.error().message;
  EXPECT_EQ((*v1)->id().str(), "$abc:domain");
  EXPECT_EQ((*v1)->prev_events().at(0).str(), "$p:domain");
}

TEST(EventParse, NumbersAreTolerantBeforeVersion6) {
  const std::string text =
      R"({"type":"x","sender":"@a:domain","room_id":"!r:domain","content":{"f":1.50,"n":-0},"depth":5,"origin_server_ts":7,"prev_events":[],"auth_events":[],"hashes":{},"signatures":{}})";
  EXPECT_FALSE(Event::parse(text, version("6")).ok());
  const auto old = Event::parse(text, version("5"));
  ASSERT_TRUE(old.ok()) << old.error().message;
  EXPECT_NE((*old)->json().find("\"f\":1.50"), std::string::npos);
}

TEST(EventParse, Version12TakesTheRoomIdFromTheCreateEvent) {
  EventDraft draft{.sender = UserId::trusted("@a:domain"),
                   .type = "m.room.create",
                   .state_key = "",
                   .content = {{"room_version", "12"}}};
  json::Object pdu = make_pdu(draft, version("12"), "");
  hash_and_sign(pdu, version("12"), kDomain, spec_key());
  const auto create = Event::parse(pdu, version("12"));
  ASSERT_TRUE(create.ok()) << create.error().message;
  EXPECT_EQ((*create)->room_id().str().substr(1), (*create)->id().str().substr(1));
  pdu.set("room_id", "!r:domain");
  EXPECT_FALSE(Event::parse(pdu, version("12")).ok());
  // Other events name a hash; a server name is of another version.
  EXPECT_FALSE(Event::parse(pdu_with("", {}), version("12")).ok());
  EXPECT_TRUE(Event::parse(pdu_with("room_id", (*create)->room_id().str()), version("12")).ok());
  EXPECT_FALSE(Event::parse(pdu_with("room_id", (*create)->room_id().str()), version("11")).ok());
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

TEST(ClientFormat, HasWhatClientsGetAndNoMore) {
  json::Object pdu = pdu_with("type", "m.room.redaction");
  pdu.set("redacts", "$gone");
  const auto event = *Event::parse(pdu, version("10"));
  EXPECT_EQ(
      client_head(*event, false) + "}",
      std::string(R"({"content":{"body":"x"},"event_id":")") + event->id().str() +
          R"(","origin_server_ts":7,"redacts":"$gone","sender":"@a:domain","type":"m.room.redaction"})");
  EXPECT_EQ(client_head(*event, true) + "}",
            std::string(R"({"content":{},"event_id":")") + event->id().str() +
                R"(","origin_server_ts":7,"sender":"@a:domain","type":"m.room.redaction"})");
}

TEST(MakePdu, PutsRedactsWhereTheVersionWantsIt) {
  EventDraft draft{.room_id = RoomId::trusted("!r:domain"),
                   .sender = UserId::trusted("@a:domain"),
                   .type = "m.room.redaction"};
  draft.redacts = EventId::trusted("$gone");
  for (const auto& rules : room_versions()) {
    if (rules.room_id_is_create_hash)
      draft.room_id = RoomId::trusted("!31hneApxJ_1o-63DmFrpeqnkFfWppnzWso1JvH3ogLM");
    json::Object pdu = make_pdu(draft, rules, "opaque");
    hash_and_sign(pdu, rules, kDomain, spec_key());
    const auto event = Event::parse(pdu, rules);
    ASSERT_TRUE(event.ok()) << rules.id << event.error().message;
    EXPECT_EQ((*event)->redacts(), EventId::trusted("$gone")) << rules.id;
    EXPECT_TRUE(content_hash_matches((*event)->object()));
  }
}

}  // namespace
}  // namespace polder::events
