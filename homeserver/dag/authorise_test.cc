#include "homeserver/dag/authorise.h"

#include <charconv>
#include <string>

#include "homeserver/crypto/keys.h"
#include "homeserver/dag/test_room.h"
#include "homeserver/events/signing.h"
#include "homeserver/json/write.h"

namespace polder::dag {
namespace {

constexpr const char* kAlice = "@alice:a.example";  // created the room
constexpr const char* kBob = "@bob:b.example";
constexpr const char* kCarol = "@carol:a.example";

TestEvent member(const std::string& sender, const std::string& target, const std::string& to) {
  return {.sender = sender,
          .type = "m.room.member",
          .state_key = target,
          .content = R"({"membership":")" + to + R"("})"};
}
TestEvent joined(const std::string& user) {
  return member(user, user, "join");
}
TestEvent levels(const std::string& content, const std::string& sender = kAlice) {
  return {.sender = sender, .type = "m.room.power_levels", .state_key = "", .content = content};
}
TestEvent join_rule(const std::string& rule) {
  return {.sender = kAlice,
          .type = "m.room.join_rules",
          .state_key = "",
          .content = R"({"join_rule":")" + rule + R"("})"};
}
TestEvent message(const std::string& sender) {
  return {.sender = sender, .type = "m.room.message", .state_key = {}};
}
TestEvent state_event(const std::string& sender, const std::string& type, const std::string& key) {
  return {.sender = sender, .type = type, .state_key = key};
}
TestEvent with_content(TestEvent event, const std::string& content) {
  event.content = content;
  return event;
}
TestEvent after(TestEvent event, const std::string& prev) {
  event.prev = {prev};
  return event;
}

// An event against a state. `expected` says what each version answers: "1:5.2.3 6:4.2.3 8:ok" is
// refused by rule 5.2.3 in versions 1 to 5, by 4.2.3 in 6 and 7, allowed from 8 on. "-" leaves
// versions out.
struct Case {
  const char* name;
  std::vector<TestEvent> state;  // besides the create event
  TestEvent event;
  const char* expected;
  const char* create = R"({"creator":"@alice:a.example"})";
};

std::string expected_in(int version, std::string_view expected) {
  std::string answer = "-";
  while (!expected.empty()) {
    std::string_view word = expected.substr(0, expected.find(' '));
    expected.remove_prefix(std::min(expected.size(), word.size() + 1));
    size_t colon = word.find(':');
    int from = 0;
    std::from_chars(word.data(), word.data() + colon, from);
    if (from <= version) answer = std::string(word.substr(colon + 1));
  }
  return answer;
}

// "ok", or the rule that refuses.
std::string answer_to(const Status& status) {
  if (status.ok()) return "ok";
  const std::string& message = status.error().message;
  if (status.error().code != ErrorCode::kForbidden || !message.starts_with("rule "))
    return "error: " + message;
  return message.substr(5, message.find(':') - 5);
}

std::string answer_in(const std::string& version, const Case& test) {
  TestRoom room(version);
  room.add("create",
           {.sender = kAlice, .type = "m.room.create", .state_key = "", .content = test.create});
  std::vector<events::EventPtr> state = {room.get("create")};
  for (size_t i = 0; i < test.state.size(); ++i) {
    std::string name = "s" + std::to_string(i);
    room.add(name, test.state[i]);
    state.push_back(room.get(name));
  }
  auto event = room.make("event", test.event);
  if (!event.ok()) return "malformed: " + event.error().message;
  return answer_to(authorise(**event, EventListState(state)));
}

void check(const std::vector<Case>& cases) {
  for (const Case& test : cases) {
    for (int version = 1; version <= 12; ++version) {
      std::string expected = expected_in(version, test.expected);
      if (expected == "-") continue;
      EXPECT_EQ(answer_in(std::to_string(version), test), expected)
          << test.name << ", version " << version;
    }
  }
}

const TestEvent kLevels = levels(
    R"({"users":{"@alice:a.example":100,"@bob:b.example":50,"@carol:a.example":50},"invite":40})");

TEST(Authorise, Joins) {
  const TestEvent carol = joined(kCarol);
  check({
      {"creator after create", {}, after(joined(kAlice), "create"), "1:ok"},
      {"creator later", {}, joined(kAlice), "1:5.2.6 6:4.2.6 8:4.3.7 12:5.3.7"},
      {"other after create", {}, after(carol, "create"), "1:5.2.6 6:4.2.6 8:4.3.7 12:5.3.7"},
      {"for another",
       {join_rule("public")},
       member(kBob, kCarol, "join"),
       "1:5.2.2 6:4.2.2 8:4.3.2 12:5.3.2"},
      {"banned",
       {join_rule("public"), member(kAlice, kCarol, "ban")},
       carol,
       "1:5.2.3 6:4.2.3 8:4.3.3 12:5.3.3"},
      {"public", {join_rule("public")}, carol, "1:ok"},
      {"left, public", {join_rule("public"), member(kCarol, kCarol, "leave")}, carol, "1:ok"},
      {"invite only", {join_rule("invite")}, carol, "1:5.2.6 6:4.2.6 8:4.3.7 12:5.3.7"},
      {"invited", {join_rule("invite"), member(kAlice, kCarol, "invite")}, carol, "1:ok"},
      {"again", {join_rule("invite"), carol}, carol, "1:ok"},
      {"no join rules, invited", {member(kAlice, kCarol, "invite")}, carol, "1:ok"},
      {"knock only, invited",
       {join_rule("knock"), member(kAlice, kCarol, "invite")},
       carol,
       "1:5.2.6 6:4.2.6 7:ok"},
      {"knock only, knocking",
       {join_rule("knock"), member(kCarol, kCarol, "knock")},
       carol,
       "1:5.2.6 6:4.2.6 8:4.3.7 12:5.3.7"},
      {"unknown rule",
       {join_rule("private"), member(kAlice, kCarol, "invite")},
       carol,
       "1:5.2.6 6:4.2.6 8:4.3.7 12:5.3.7"},
      {"rule is no string",
       {with_content(join_rule(""), R"({"join_rule":1})")},
       carol,
       "1:5.2.6 6:4.2.6 8:4.3.7 12:5.3.7"},
  });
}

TEST(Authorise, RestrictedJoins) {
  const TestEvent authorised =
      with_content(joined(kCarol),
                   R"({"membership":"join","join_authorised_via_users_server":"@bob:b.example"})");
  const TestEvent restricted = join_rule("restricted");
  const TestEvent knock_restricted = join_rule("knock_restricted");
  const TestEvent weak_bob = levels(R"({"users":{"@bob:b.example":39},"invite":40})");
  check({
      {"authorised", {restricted, joined(kBob), kLevels}, authorised, "1:5.2.6 6:4.2.6 8:ok"},
      {"invited",
       {restricted, member(kBob, kCarol, "invite")},
       joined(kCarol),
       "1:5.2.6 6:4.2.6 8:ok"},
      {"joined", {restricted, joined(kCarol)}, joined(kCarol), "1:5.2.6 6:4.2.6 8:ok"},
      {"nobody authorised",
       {restricted, joined(kBob), kLevels},
       joined(kCarol),
       "8:4.3.5.2 12:5.3.5.2"},
      {"authorised by absent", {restricted, kLevels}, authorised, "8:4.3.5.2 12:5.3.5.2"},
      {"authorised by weak",
       {restricted, joined(kBob), weak_bob},
       authorised,
       "8:4.3.5.2 12:5.3.5.2"},
      {"banned",
       {restricted, joined(kBob), kLevels, member(kBob, kCarol, "ban")},
       authorised,
       "8:4.3.3 12:5.3.3"},
      {"knock_restricted",
       {knock_restricted, joined(kBob), kLevels},
       authorised,
       "1:5.2.6 6:4.2.6 8:4.3.7 10:ok"},
      {"knock_restricted, alone",
       {knock_restricted, joined(kBob), kLevels},
       joined(kCarol),
       "8:4.3.7 10:4.3.5.2 12:5.3.5.2"},
      {"authorised by no user",
       {restricted},
       with_content(joined(kCarol),
                    R"({"membership":"join","join_authorised_via_users_server":"bob"})"),
       "8:4.2.1 12:5.2.1"},
      {"authorised by a number",
       {restricted},
       with_content(joined(kCarol),
                    R"({"membership":"join","join_authorised_via_users_server":5})"),
       "8:4.2.1 12:5.2.1"},
  });
}

TEST(Authorise, Invites) {
  const TestEvent invite = member(kBob, "@dan:d.example", "invite");
  check({
      {"with the level", {kLevels, joined(kBob)}, invite, "1:ok"},
      {"sender not joined", {kLevels}, invite, "1:5.3.2 6:4.3.2 8:4.4.2 12:5.4.2"},
      {"target joined",
       {kLevels, joined(kBob), joined("@dan:d.example")},
       invite,
       "1:5.3.3 6:4.3.3 8:4.4.3 12:5.4.3"},
      {"target banned",
       {kLevels, joined(kBob), member(kAlice, "@dan:d.example", "ban")},
       invite,
       "1:5.3.3 6:4.3.3 8:4.4.3 12:5.4.3"},
      {"below the level",
       {levels(R"({"invite":1})"), joined(kBob)},
       invite,
       "1:5.3.5 6:4.3.5 8:4.4.5 12:5.4.5"},
      {"without levels", {joined(kBob)}, invite, "1:ok"},
      {"creator, level above all numbers of users",
       {levels(R"({"invite":9007199254740991})"), joined(kAlice)},
       member(kAlice, kBob, "invite"),
       "1:5.3.5 6:4.3.5 8:4.4.5 12:ok"},
  });
}

TEST(Authorise, Leaves) {
  check({
      {"own, joined", {joined(kCarol)}, member(kCarol, kCarol, "leave"), "1:ok"},
      {"own, invited", {member(kAlice, kCarol, "invite")}, member(kCarol, kCarol, "leave"), "1:ok"},
      {"own, knocking",
       {member(kCarol, kCarol, "knock")},
       member(kCarol, kCarol, "leave"),
       "1:5.4.1 6:4.4.1 7:ok"},
      {"own, banned",
       {member(kAlice, kCarol, "ban")},
       member(kCarol, kCarol, "leave"),
       "1:5.4.1 6:4.4.1 8:4.5.1 12:5.5.1"},
      {"own, never in", {}, member(kCarol, kCarol, "leave"), "1:5.4.1 6:4.4.1 8:4.5.1 12:5.5.1"},
      {"kick",
       {kLevels, joined(kBob), joined("@dan:d.example")},
       member(kBob, "@dan:d.example", "leave"),
       "1:ok"},
      {"kick from outside",
       {kLevels, joined("@dan:d.example")},
       member(kBob, "@dan:d.example", "leave"),
       "1:5.4.2 6:4.4.2 8:4.5.2 12:5.5.2"},
      {"kick of an equal",
       {kLevels, joined(kBob), joined(kCarol)},
       member(kBob, kCarol, "leave"),
       "1:5.4.5 6:4.4.5 8:4.5.5 12:5.5.5"},
      {"kick below the level",
       {levels(R"({"users":{"@bob:b.example":49}})"), joined(kBob)},
       member(kBob, kCarol, "leave"),
       "1:5.4.5 6:4.4.5 8:4.5.5 12:5.5.5"},
      {"unban",
       {kLevels, joined(kBob), member(kAlice, "@dan:d.example", "ban")},
       member(kBob, "@dan:d.example", "leave"),
       "1:ok"},
      {"unban below the ban level",
       {levels(R"({"users":{"@bob:b.example":50},"ban":51})"), joined(kBob),
        member(kAlice, "@dan:d.example", "ban")},
       member(kBob, "@dan:d.example", "leave"),
       "1:5.4.3 6:4.4.3 8:4.5.3 12:5.5.3"},
      {"kick of the creator",
       {levels(R"({"users":{"@bob:b.example":9007199254740991}})"), joined(kBob), joined(kAlice)},
       member(kBob, kAlice, "leave"),
       "1:ok 12:5.5.5"},
  });
}

TEST(Authorise, Bans) {
  check({
      {"with the level", {kLevels, joined(kBob)}, member(kBob, "@dan:d.example", "ban"), "1:ok"},
      {"from outside",
       {kLevels},
       member(kBob, "@dan:d.example", "ban"),
       "1:5.5.1 6:4.5.1 8:4.6.1 12:5.6.1"},
      {"of an equal",
       {kLevels, joined(kBob), joined(kCarol)},
       member(kBob, kCarol, "ban"),
       "1:5.5.3 6:4.5.3 8:4.6.3 12:5.6.3"},
      {"of oneself",
       {kLevels, joined(kBob)},
       member(kBob, kBob, "ban"),
       "1:5.5.3 6:4.5.3 8:4.6.3 12:5.6.3"},
      {"below the level",
       {levels(R"({"users":{"@bob:b.example":49}})"), joined(kBob)},
       member(kBob, kCarol, "ban"),
       "1:5.5.3 6:4.5.3 8:4.6.3 12:5.6.3"},
  });
}

TEST(Authorise, Knocks) {
  const TestEvent knock = member(kCarol, kCarol, "knock");
  check({
      {"knock", {join_rule("knock")}, knock, "1:5.6 6:4.6 7:ok"},
      {"knock_restricted",
       {join_rule("knock_restricted")},
       knock,
       "1:5.6 6:4.6 7:4.6.1 8:4.7.1 10:ok"},
      {"public", {join_rule("public")}, knock, "1:5.6 6:4.6 7:4.6.1 8:4.7.1 12:5.7.1"},
      {"no join rules", {}, knock, "7:4.6.1 8:4.7.1 12:5.7.1"},
      {"for another",
       {join_rule("knock")},
       member(kBob, kCarol, "knock"),
       "7:4.6.2 8:4.7.2 12:5.7.2"},
      {"banned",
       {join_rule("knock"), member(kAlice, kCarol, "ban")},
       knock,
       "7:4.6.4 8:4.7.4 12:5.7.4"},
      {"invited",
       {join_rule("knock"), member(kAlice, kCarol, "invite")},
       knock,
       "7:4.6.4 8:4.7.4 12:5.7.4"},
      {"joined", {join_rule("knock"), joined(kCarol)}, knock, "7:4.6.4 8:4.7.4 12:5.7.4"},
      {"again", {join_rule("knock"), knock}, knock, "7:ok"},
  });
}

TEST(Authorise, MembersThatAreNone) {
  TestEvent keyless = joined(kCarol);
  keyless.state_key = {};
  check({
      {"no state key", {join_rule("public")}, keyless, "1:5.1 6:4.1 12:5.1"},
      {"no membership",
       {join_rule("public")},
       with_content(joined(kCarol), "{}"),
       "1:5.1 6:4.1 12:5.1"},
      {"unknown membership",
       {join_rule("public")},
       member(kCarol, kCarol, "lurk"),
       "1:5.6 6:4.6 7:4.7 8:4.8 12:5.8"},
      {"membership is no string",
       {join_rule("public")},
       with_content(joined(kCarol), R"({"membership":["join"]})"),
       "1:5.6 6:4.6 7:4.7 8:4.8 12:5.8"},
  });
}

TEST(Authorise, Create) {
  const auto create = [](const std::string& content, const char* sender = kAlice) {
    return TestEvent{
        .sender = sender, .type = "m.room.create", .state_key = "", .content = content};
  };
  check({
      {"plain", {}, create(R"({"creator":"@alice:a.example"})"), "1:ok"},
      {"without creator", {}, create("{}"), "1:1.4 11:ok"},
      {"with prev_events",
       {},
       after(create(R"({"creator":"@alice:a.example"})"), "create"),
       "1:1.1"},
      {"by another server", {}, create(R"({"creator":"@bob:b.example"})", kBob), "1:1.2 12:ok"},
      {"known version", {}, create(R"({"creator":"x","room_version":"12"})"), "1:ok"},
      {"unknown version", {}, create(R"({"creator":"x","room_version":"0"})"), "1:1.3"},
      {"version is no string", {}, create(R"({"creator":"x","room_version":12})"), "1:1.3"},
      {"additional creators",
       {},
       create(R"({"creator":"x","additional_creators":["@bob:b.example"]})"),
       "1:ok"},
      {"additional creators are no list",
       {},
       create(R"({"creator":"x","additional_creators":"@bob:b.example"})"),
       "1:ok 12:1.4"},
      {"additional creators are no users",
       {},
       create(R"({"creator":"x","additional_creators":["@bob:b.example","bob"]})"),
       "1:ok 12:1.4"},
      {"additional creators are no strings",
       {},
       create(R"({"creator":"x","additional_creators":[1]})"),
       "1:ok 12:1.4"},
  });
}

TEST(Authorise, RoomsThatDoNotFederate) {
  const char* closed = R"({"creator":"@alice:a.example","m.federate":false})";
  const char* open = R"({"creator":"@alice:a.example","m.federate":true})";
  check({
      {"other server", {join_rule("public")}, joined(kBob), "1:3 12:4", closed},
      {"own server", {join_rule("public")}, joined(kCarol), "1:ok", closed},
      {"open", {join_rule("public")}, joined(kBob), "1:ok", open},
  });
}

TEST(Authorise, OtherEvents) {
  const TestEvent bob = joined(kBob);
  check({
      {"message", {kLevels, bob}, message(kBob), "1:ok"},
      {"sender not joined", {kLevels}, message(kBob), "1:6 6:5 12:6"},
      {"sender invited", {kLevels, member(kAlice, kBob, "invite")}, message(kBob), "1:6 6:5 12:6"},
      {"sender left", {kLevels, member(kBob, kBob, "leave")}, message(kBob), "1:6 6:5 12:6"},
      {"below events_default",
       {levels(R"({"events_default":1})"), bob},
       message(kBob),
       "1:8 6:7 12:8"},
      {"below the type's level",
       {levels(R"({"events":{"m.room.message":1}})"), bob},
       message(kBob),
       "1:8 6:7 12:8"},
      {"below state_default",
       {levels(R"({"users":{"@bob:b.example":49}})"), bob},
       state_event(kBob, "m.room.topic", ""),
       "1:8 6:7 12:8"},
      {"at state_default", {kLevels, bob}, state_event(kBob, "m.room.topic", ""), "1:ok"},
      {"state without levels", {bob}, state_event(kBob, "m.room.topic", ""), "1:ok"},
      {"users_default",
       {levels(R"({"users_default":50})"), bob},
       state_event(kBob, "m.room.topic", ""),
       "1:ok"},
      {"another's state key",
       {kLevels, bob},
       state_event(kBob, "x.location", kCarol),
       "1:9 6:8 12:9"},
      {"own state key", {kLevels, bob}, state_event(kBob, "x.location", kBob), "1:ok"},
      {"third-party invite",
       {kLevels, bob},
       state_event(kBob, "m.room.third_party_invite", "t"),
       "1:ok"},
      {"third-party invite below the level",
       {levels(R"({"invite":1})"), bob},
       state_event(kBob, "m.room.third_party_invite", "t"),
       "1:7.1 6:6.1 12:7.1"},
      {"third-party invite needs no other level",
       {levels(R"({"events":{"m.room.third_party_invite":99}})"), bob},
       state_event(kBob, "m.room.third_party_invite", "t"),
       "1:ok"},
  });
}

TEST(Authorise, Aliases) {
  TestEvent keyless = state_event(kBob, "m.room.aliases", "");
  keyless.state_key = {};
  check({
      {"own server, not even joined",
       {},
       state_event(kBob, "m.room.aliases", "b.example"),
       "1:ok 6:5 12:6"},
      {"other server", {}, state_event(kBob, "m.room.aliases", "a.example"), "1:4.2 6:5 12:6"},
      {"no state key", {}, keyless, "1:4.1 6:5 12:6"},
  });
}

TEST(Authorise, Redactions) {
  const auto redaction = [](const char* sender, const char* redacts) {
    return TestEvent{
        .sender = sender, .type = "m.room.redaction", .state_key = {}, .redacts = redacts};
  };
  const TestEvent dan = joined("@dan:d.example");
  check({
      {"with the level", {kLevels, joined(kBob)}, redaction(kBob, "$x:c.example"), "1:ok"},
      {"of an own server's event",
       {kLevels, dan},
       redaction("@dan:d.example", "$x:d.example"),
       "1:ok"},
      {"of another server's event",
       {kLevels, dan},
       redaction("@dan:d.example", "$x:c.example"),
       "1:11.3 3:ok"},
      {"below the type's level",
       {levels(R"({"events":{"m.room.redaction":1}})"), dan},
       redaction("@dan:d.example", "$x:d.example"),
       "1:8 6:7 12:8"},
  });
}

TEST(Authorise, AdditionalCreatorsOutrankLevels) {
  const char* create = R"({"creator":"@alice:a.example","additional_creators":["@bob:b.example"]})";
  const TestEvent high = levels(R"({"state_default":100,"users":{"@carol:a.example":100}})");
  check({
      {"creator",
       {high, joined(kAlice)},
       state_event(kAlice, "m.room.topic", ""),
       "1:8 6:7 12:ok",
       create},
      {"additional creator",
       {high, joined(kBob)},
       state_event(kBob, "m.room.topic", ""),
       "1:8 6:7 12:ok",
       create},
      {"creators do not outrank each other",
       {joined(kBob), joined(kAlice)},
       member(kBob, kAlice, "ban"),
       "12:5.6.3",
       create},
  });
}

TEST(Authorise, WithoutCreateEventRefuses) {
  for (const auto& [version, expected] :
       {std::pair("1", "2.4"), std::pair("11", "2.4"), std::pair("12", "2")}) {
    TestRoom room(version);
    room.add("create", {.sender = kAlice,
                        .type = "m.room.create",
                        .state_key = "",
                        .content = R"({"creator":"@alice:a.example"})"});
    auto event = room.make("event", joined(kAlice));
    ASSERT_TRUE(event.ok());
    EXPECT_EQ(answer_to(authorise(**event, EventListState({}))), expected);
  }
}

TEST(Authorise, FailuresOfTheStateAreNoRefusals) {
  struct BrokenState final : AuthState {
    Result<const events::Event*> find(events::StateKeyView) const override {
      return fail(ErrorCode::kIo, "disk");
    }
  };
  TestRoom room("11");
  room.add("create", {.sender = kAlice, .type = "m.room.create", .state_key = ""});
  Status status = authorise(**room.make("event", joined(kAlice)), BrokenState());
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kIo);
}

class ThirdPartyInvites : public testing::Test {
 protected:
  crypto::SigningKey key(char fill) {
    std::string seed = base::base64_encode(as_bytes(std::string(32, fill)));
    return *crypto::SigningKey::from_seed(KeyId::trusted("ed25519:0"), seed);
  }
  TestEvent original(const std::string& content, const char* sender = kBob) {
    TestEvent event = state_event(sender, "m.room.third_party_invite", "token");
    event.content = content;
    return event;
  }
  std::string public_key(char fill) { return key(fill).verify_key().to_base64(); }
  // Bob invites Carol with what an identity server signed.
  TestEvent invite(json::Object signed_part, std::optional<char> signed_by) {
    if (signed_by) events::sign_json(signed_part, "id.example", key(*signed_by));
    json::Object content{{"membership", "invite"},
                         {"third_party_invite", json::object({{"signed", signed_part}})}};
    return with_content(member(kBob, kCarol, "invite"), json::write(content));
  }
  json::Object right_part() { return {{"mxid", kCarol}, {"token", "token"}}; }
};

TEST_F(ThirdPartyInvites, NeedASignatureOfTheRoomsInvite) {
  const TestEvent single = original(R"({"public_key":")" + public_key('a') + R"("})");
  const TestEvent list = original(R"({"public_keys":[{"public_key":"nonsense"},{"public_key":")" +
                                  public_key('a') + R"("}]})");
  const TestEvent none = original("{}");
  const TestEvent other_sender = original(R"({"public_key":")" + public_key('a') + R"("})", kAlice);
  const TestEvent banned = member(kAlice, kCarol, "ban");
  TestEvent many = original("{}");
  many.content = R"({"public_keys":[)";
  for (int i = 0; i < 70; ++i)
    many.content += R"({"public_key":")" + public_key('a') + R"("},)";
  many.content.back() = ']';
  many.content += "}";
  check({
      {"single key", {single}, invite(right_part(), 'a'), "1:ok"},
      {"one of several keys", {list}, invite(right_part(), 'a'), "1:ok"},
      {"target banned",
       {single, banned},
       invite(right_part(), 'a'),
       "1:5.3.1.1 6:4.3.1.1 8:4.4.1.1 12:5.4.1.1"},
      {"nothing signed",
       {single},
       with_content(member(kBob, kCarol, "invite"),
                    R"({"membership":"invite","third_party_invite":{}})"),
       "1:5.3.1.2 6:4.3.1.2 8:4.4.1.2 12:5.4.1.2"},
      {"no object",
       {single},
       with_content(member(kBob, kCarol, "invite"),
                    R"({"membership":"invite","third_party_invite":1})"),
       "1:5.3.1.2 6:4.3.1.2 8:4.4.1.2 12:5.4.1.2"},
      {"no mxid",
       {single},
       invite({{"token", "token"}}, 'a'),
       "1:5.3.1.3 6:4.3.1.3 8:4.4.1.3 12:5.4.1.3"},
      {"no token",
       {single},
       invite({{"mxid", kCarol}}, 'a'),
       "1:5.3.1.3 6:4.3.1.3 8:4.4.1.3 12:5.4.1.3"},
      {"another mxid",
       {single},
       invite({{"mxid", kAlice}, {"token", "token"}}, 'a'),
       "1:5.3.1.4 6:4.3.1.4 8:4.4.1.4 12:5.4.1.4"},
      {"another token",
       {single},
       invite({{"mxid", kCarol}, {"token", "x"}}, 'a'),
       "1:5.3.1.5 6:4.3.1.5 8:4.4.1.5 12:5.4.1.5"},
      {"another sender",
       {other_sender},
       invite(right_part(), 'a'),
       "1:5.3.1.6 6:4.3.1.6 8:4.4.1.6 12:5.4.1.6"},
      {"another key",
       {single},
       invite(right_part(), 'b'),
       "1:5.3.1.8 6:4.3.1.8 8:4.4.1.8 12:5.4.1.8"},
      {"no key", {none}, invite(right_part(), 'a'), "1:5.3.1.8 6:4.3.1.8 8:4.4.1.8 12:5.4.1.8"},
      {"no signature",
       {single},
       invite(right_part(), {}),
       "1:5.3.1.8 6:4.3.1.8 8:4.4.1.8 12:5.4.1.8"},
      {"more keys than anybody needs",
       {many},
       invite(right_part(), 'a'),
       "1:5.3.1.8 6:4.3.1.8 8:4.4.1.8 12:5.4.1.8"},
  });
}

}  // namespace
}  // namespace polder::dag
