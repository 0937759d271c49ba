#include "homeserver/protocol/events/event.h"

#include "homeserver/base/json/parse.h"
#include "homeserver/base/json/write.h"
#include "homeserver/base/values/bytes.h"
#include "homeserver/protocol/events/signing.h"
#include "homeserver/protocol/events/testing/events.h"

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

TEST(EventParse, KeysWereCountedInCharacters) {
  const auto repeated = [](std::string_view text, size_t count) {
    std::string all;
    for (size_t i = 0; i < count; ++i)
      all += text;
    return all;
  };
  for (const char* key : {"type", "state_key"}) {
    for (const auto& [text, in_10, in_11] : {std::tuple(repeated("x", 255), true, true),
                                             {repeated("x", 256), false, false},
                                             {repeated("💥", 63), true, true},
                                             {repeated("💥", 64), true, false},
                                             {repeated("é", 255), true, false},
                                             {repeated("é", 256), false, false}}) {
      EXPECT_EQ(Event::parse(pdu_with(key, text), version("10")).ok(), in_10) << text;
      EXPECT_EQ(Event::parse(pdu_with(key, text), version("11")).ok(), in_11) << text;
    }
  }
}

TEST(EventParse, DropsUnsignedAndKeepsTheRest) {
  json::Object pdu = pdu_with("unsigned", json::object({{"age", 5}}));
  pdu.set("age_ts", 9);
  pdu.set("custom", "kept");
  const auto event = Event::parse(json::write(pdu), version("10"));
  ASSERT_TRUE(event.ok()) << event.error().message;
  EXPECT_FALSE((*event)->object().contains("unsigned"));
  EXPECT_FALSE((*event)->object().contains("age_ts"));
  EXPECT_EQ(*(*event)->object().find_string("custom"), "kept");
  EXPECT_EQ((*event)->id().str().size(), 44u);
  EXPECT_EQ((*Event::parse((*event)->json(), version("10")))->id(), (*event)->id());
}

// Redaction keeps `event_id`, so the reference hash covers it in every version: an event that
// carries one has the same id and the same signatures on every server, or servers disagree about
// what is in the room.
TEST(EventParse, AnEventIdThatTheFormatHasNotIsHashedButNotBelieved) {
  for (const auto& rules : room_versions()) {
    if (rules.event_ids == EventIdFormat::kServerGiven) continue;
    json::Object pdu = pdu_with("event_id", "$forged:other");
    if (rules.room_id_is_create_hash) pdu.set("room_id", std::string(kHashRoomId));
    hash_and_sign(pdu, rules, kDomain, spec_key());
    const auto event = Event::parse(pdu, rules);
    ASSERT_TRUE(event.ok()) << rules.id << event.error().message;
    EXPECT_EQ((*event)->id(), event_id_of(pdu, rules));
    EXPECT_EQ((*event)->json(), json::write(pdu));
    EXPECT_TRUE(content_hash_matches((*event)->object()));
    pdu.erase("event_id");
    EXPECT_NE((*event)->id(), event_id_of(pdu, rules));
  }
}

// Room versions 1 to 5 speak of 2^63-1, but an event of such a depth cannot be followed by one that
// canonical JSON can write: 2^53-1 is the limit in all versions.
TEST(EventParse, RefusesADepthThatNoServerCanContinue) {
  for (const char* depth : {"9007199254740992", "9223372036854775807", "9223372036854775808",
                            "18446744073709551615", "-1", "-0.0", "1.0", "1e2", "null", "true"}) {
    for (const char* number : {"3", "5", "6", "11"}) {
      std::string text = json::write(pdu_with("", {}));
      text.replace(text.find(R"("depth":5)"), 9, std::string(R"("depth":)") + depth);
      EXPECT_FALSE(Event::parse(text, version(number)).ok()) << depth << " in version " << number;
    }
  }
}

TEST(EventParse, RefusesJsonThatServersReadDifferently) {
  const std::string good = json::write(pdu_with("", {}));
  ASSERT_TRUE(Event::parse(good, version("10")).ok());
  const std::string body = R"("body":"x")";
  for (const char* other :
       {R"("body":"x","body":"y")", R"("body":"x","\u0062ody":"y")", R"("body":"\ud800")",
        "\"body\":\"\xff\"", R"("body":NaN)", R"("body":Infinity)", R"("body":01)"}) {
    std::string text = good;
    text.replace(text.find(body), body.size(), other);
    for (const auto& rules : room_versions())
      EXPECT_FALSE(Event::parse(text, rules).ok()) << other << " in version " << rules.id;
  }
  EXPECT_FALSE(Event::parse(good + "{}", version("10")).ok());
  EXPECT_FALSE(Event::parse("\xef\xbb\xbf" + good, version("10")).ok());
  EXPECT_FALSE(Event::parse("[" + good + "]", version("10")).ok());
}

// 65536 bytes of canonical JSON with signatures, in bytes and not in characters; `unsigned` is not
// counted.
TEST(EventParse, CountsTheSizeInBytesOfCanonicalJson) {
  const auto with_size = [](size_t size, std::string_view unit) {
    json::Object pdu = pdu_with("content", json::object({{"body", ""}}));
    const size_t rest = size - json::write(pdu).size();
    std::string body(rest % unit.size(), 'x');
    while (body.size() < rest)
      body += unit;
    pdu.set("content", json::object({{"body", body}}));
    return pdu;
  };
  for (const std::string_view unit : {"x", "\xc3\xa9", "\xf0\x9f\x98\x80"}) {
    json::Object fits = with_size(kMaxEventBytes, unit);
    ASSERT_EQ(json::write(fits).size(), kMaxEventBytes);
    fits.set("unsigned", json::object({{"padding", std::string(1000, 'x')}}));
    EXPECT_TRUE(Event::parse(json::write(fits), version("10")).ok());
    const auto over = Event::parse(with_size(kMaxEventBytes + 1, unit), version("10"));
    ASSERT_FALSE(over.ok());
    EXPECT_EQ(over.error().code, ErrorCode::kTooLarge);
  }
  const auto flood = Event::parse(std::string(size_t{5} * kMaxEventBytes, ' '), version("10"));
  ASSERT_FALSE(flood.ok());
  EXPECT_EQ(flood.error().code, ErrorCode::kTooLarge);
}

TEST(EventParse, CountsTheSizeOfNamesInBytes) {
  std::string two_bytes_each;
  for (int i = 0; i < 127; ++i)
    two_bytes_each += "\xc3\xa9";
  for (const char* key : {"type", "state_key"}) {
    EXPECT_TRUE(Event::parse(pdu_with(key, two_bytes_each + "x"), version("11")).ok()) << key;
    EXPECT_FALSE(Event::parse(pdu_with(key, two_bytes_each + "xx"), version("11")).ok()) << key;
  }
}

TEST(EventParse, TopLevelRedactsIsAStringBeforeVersion11) {
  for (const json::Value& value : {json::Value(5), json::Value(nullptr), json::object({})}) {
    json::Object pdu = pdu_with("redacts", value);
    EXPECT_TRUE(Event::parse(pdu, version("10")).ok());
    pdu.set("type", "m.room.redaction");
    EXPECT_FALSE(Event::parse(pdu, version("10")).ok());
    const auto event = Event::parse(pdu, version("11"));
    ASSERT_TRUE(event.ok());
    EXPECT_EQ((*event)->redacts(), std::nullopt);
  }
  EXPECT_TRUE(Event::parse(pdu_with("type", "m.room.redaction"), version("10")).ok());
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

// The server of the id is asked for keys: what is no server name must not get that far.
TEST(EventParse, AnEventIdOfVersions1And2NamesAServer) {
  json::Object pdu = pdu_with("prev_events", json::Array());
  pdu.set("auth_events", json::Array());
  for (const char* id :
       {"$a", "$a:", "$a:domain'", "$a:domain/path", "$a:user@domain", "$a:domain:x",
        "$a:domain:99999", "$a:b:domain", "$a:[::1", "a:domain", "$"}) {
    pdu.set("event_id", id);
    EXPECT_FALSE(Event::parse(pdu, version("1")).ok()) << id;
  }
  for (const char* id : {"$a:domain", "$a:domain:8448", "$a:[::1]:8448", "$:domain"}) {
    pdu.set("event_id", id);
    EXPECT_TRUE(Event::parse(pdu, version("2")).ok()) << id;
  }
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
  for (const std::string& room : {std::string("!r:domain"), (*create)->room_id().str()}) {
    pdu.set("room_id", room);
    EXPECT_FALSE(Event::parse(pdu, version("12")).ok()) << room;
  }
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
    if (rules.room_id_is_create_hash) draft.room_id = RoomId::trusted(std::string(kHashRoomId));
    json::Object pdu = make_pdu(draft, rules, "opaque");
    hash_and_sign(pdu, rules, kDomain, spec_key());
    const auto event = Event::parse(pdu, rules);
    ASSERT_TRUE(event.ok()) << rules.id << event.error().message;
    EXPECT_EQ((*event)->redacts(), EventId::trusted("$gone")) << rules.id;
    EXPECT_TRUE(content_hash_matches((*event)->object()));
  }
}

// "The complete event MUST NOT be larger than 65536 bytes" is the only limit.
TEST(EventParse, NestingIsLimitedByTheSizeOnly) {
  const auto with = [](size_t levels) {
    json::Object pdu = pdu_with("content", json::Object());
    const std::string deep = std::string(levels, '[') + std::string(levels, ']');
    pdu.set("content", json::object({{"membership", "join"}, {"deep", *json::parse(deep)}}));
    return pdu;
  };
  for (const char* number : {"3", "5", "10", "11"}) {
    for (const size_t levels : {size_t{97}, size_t{150}, size_t{32'000}}) {
      json::Object pdu = with(levels);
      hash_and_sign(pdu, version(number), kDomain, spec_key());
      const auto event = Event::parse(pdu, version(number));
      ASSERT_TRUE(event.ok()) << number << event.error().message;
      EXPECT_TRUE(content_hash_matches((*event)->object()));
      const auto again = Event::parse((*event)->json(), version(number));
      ASSERT_TRUE(again.ok()) << again.error().message;
      EXPECT_EQ((*again)->id(), (*event)->id());
      EXPECT_TRUE(content_hash_matches((*again)->object()));
      EXPECT_TRUE((*again)->json() == (*event)->json());
      EXPECT_FALSE(
          redact((*event)->object(), version(number)).find_object("content")->contains("deep"));
    }
  }
  EXPECT_EQ(Event::parse(with(33'000), version("10")).error().code, ErrorCode::kTooLarge);
}

}  // namespace
}  // namespace polder::events
