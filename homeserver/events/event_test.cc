#include "homeserver/events/event.h"

#include "homeserver/base/bytes.h"
#include "homeserver/events/signing.h"
#include "homeserver/events/test_events.h"
#include "homeserver/json/parse.h"
#include "homeserver/json/write.h"

namespace polder::events {
namespace {

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
