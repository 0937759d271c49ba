#include "homeserver/protocol/dag/authorise.h"

#include "homeserver/protocol/dag/testing/authorise_cases.h"

namespace polder::dag {
namespace {

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

TEST(Authorise, CreateEventsOfVersion12HaveNoRoomId) {
  TestRoom room("12");
  room.add("create", {.sender = kAlice, .type = "m.room.create", .state_key = ""});
  json::Object pdu = room.get("create")->object();
  pdu.set("room_id", "!room:a.example");
  auto event = events::Event::parse(std::move(pdu), room.rules());
  // The format may refuse it before the rules do.
  EXPECT_EQ(event.ok() ? answer_to(authorise(**event, EventListState({}))) : "1.2", "1.2");
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
      {"without levels", {bob}, state_event(kBob, "m.room.topic", ""), "1:8 6:7 12:8"},
      {"the creator's without levels",
       {member(kAlice, kAlice, "join")},
       state_event(kAlice, "m.room.topic", ""),
       "1:ok"},
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

}  // namespace
}  // namespace polder::dag
