#include "homeserver/protocol/events/signing.h"

#include "homeserver/base/json/parse.h"
#include "homeserver/base/json/write.h"
#include "homeserver/protocol/events/testing/events.h"

namespace polder::events {
namespace {

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
      {"m.room.member", R"({"third_party_invite":{"display_name":"d"}})", 1, 10, "{}"},
      {"m.room.member", R"({"third_party_invite":{"display_name":"d"}})", 11, 12,
       R"({"third_party_invite":{}})"},
      {"m.room.member", R"({"third_party_invite":"text"})", 1, 12, "{}"},
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

TEST(Redaction, WhatIsSignedIsWhatItKeepsButForSignatures) {
  const json::Object pdu = *json::parse_object(
      R"({"type":"m.room.member","content":{"membership":"join","x":{"y":1}},"age_ts":1,"origin":"a",)"
      R"("hashes":{"sha256":"h"},"signatures":{"a":{"ed25519:1":"s"}},"unsigned":{"age":1},"z":[1]})");
  json::Object without_content = pdu;
  without_content.set("content", "text");
  for (int number = 1; number <= 12; ++number) {
    const RoomVersionRules& rules = version(std::to_string(number));
    for (const json::Object& object : {pdu, without_content, json::Object()}) {
      json::Object kept = redact(object, rules);
      kept.erase("signatures");
      EXPECT_EQ(signed_bytes_of_event(object, rules), json::write(kept)) << number;
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

}  // namespace
}  // namespace polder::events
