#include "homeserver/protocol/events/client_format.h"

#include "homeserver/base/json/parse.h"
#include "homeserver/base/json/write.h"
#include "homeserver/protocol/events/testing/events.h"

namespace polder::events {
namespace {

// The whole that a client would get of the head alone.
json::Object head_of(const Event& event, bool redacted) {
  return *json::parse_object(client_head(event, redacted) + "}");
}

EventPtr redaction(std::string_view room_version, const char* top_level, json::Object content) {
  json::Object pdu = pdu_with("type", "m.room.redaction");
  if (version(room_version).room_id_is_create_hash) pdu.set("room_id", std::string(kHashRoomId));
  pdu.set("content", std::move(content));
  if (top_level != nullptr) pdu.set("redacts", top_level);
  return *Event::parse(pdu, version(room_version));
}

TEST(ClientFormat, HasWhatClientsGetAndNoMore) {
  json::Object pdu = pdu_with("state_key", "key");
  pdu.set("event_id", "$forged");
  pdu.set("custom", 1);
  const auto event = *Event::parse(pdu, version("10"));
  const std::string id = event->id().str();
  EXPECT_EQ(
      client_head(*event, false),
      R"({"content":{"body":"x"},"event_id":")" + id +
          R"(","origin_server_ts":7,"sender":"@a:domain","state_key":"key","type":"m.room.message")");
  EXPECT_EQ(
      client_head(*event, true),
      R"({"content":{},"event_id":")" + id +
          R"(","origin_server_ts":7,"sender":"@a:domain","state_key":"key","type":"m.room.message")");
}

// https://spec.matrix.org/v1.19/rooms/v11/#moving-the-redacts-property-of-mroomredaction-events-to-a-content-property
TEST(ClientFormat, RedactsIsInBothPlaces) {
  for (const char* number : {"3", "10"}) {
    const auto event = redaction(number, "$gone", {{"reason", "spam"}, {"redacts", "$forged"}});
    const json::Object head = head_of(*event, false);
    EXPECT_EQ(*head.find_string("redacts"), "$gone");
    EXPECT_EQ(json::write(*head.find_object("content")), R"({"reason":"spam","redacts":"$gone"})");
  }
  for (const char* number : {"11", "12"}) {
    const auto event = redaction(number, "$forged", {{"reason", "spam"}, {"redacts", "$gone"}});
    const json::Object head = head_of(*event, false);
    EXPECT_EQ(*head.find_string("redacts"), "$gone");
    EXPECT_EQ(*head.find_object("content")->find_string("redacts"), "$gone");
  }
}

TEST(ClientFormat, ARedactedRedactionNamesItsEventFromVersion11On) {
  const json::Object old = head_of(*redaction("10", "$gone", {{"reason", "spam"}}), true);
  EXPECT_FALSE(old.contains("redacts"));
  EXPECT_TRUE(old.find_object("content")->empty());
  const json::Object head =
      head_of(*redaction("11", nullptr, {{"reason", "spam"}, {"redacts", "$gone"}}), true);
  EXPECT_EQ(*head.find_string("redacts"), "$gone");
  EXPECT_EQ(json::write(*head.find_object("content")), R"({"redacts":"$gone"})");
}

TEST(ClientFormat, OnlyRedactionsHaveRedacts) {
  for (const char* number : {"10", "11"}) {
    json::Object pdu = pdu_with("redacts", "$gone");
    pdu.set("content", json::object({{"redacts", "$other"}}));
    const json::Object head = head_of(**Event::parse(pdu, version(number)), false);
    EXPECT_FALSE(head.contains("redacts"));
    EXPECT_EQ(*head.find_object("content")->find_string("redacts"), "$other");
  }
}

TEST(ClientFormat, StrippedStateHasFourKeys) {
  json::Object pdu = pdu_with("state_key", "");
  pdu.set("custom", 1);
  EXPECT_EQ(
      json::write(stripped_state(**Event::parse(pdu, version("10")))),
      R"({"content":{"body":"x"},"sender":"@a:domain","state_key":"","type":"m.room.message"})");
}

}  // namespace
}  // namespace polder::events
