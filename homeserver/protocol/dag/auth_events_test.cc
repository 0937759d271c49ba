#include "homeserver/protocol/dag/auth_events.h"

#include <algorithm>
#include <string>

#include "homeserver/protocol/dag/testing/room.h"

namespace polder::dag {
namespace {

constexpr const char* kAlice = "@alice:a.example";
constexpr const char* kBob = "@bob:b.example";

std::vector<std::string> selected(std::string_view version, std::string_view type,
                                  std::optional<std::string_view> state_key,
                                  const std::string& content) {
  std::vector<std::string> keys;
  for (const StateKey& key : auth_types_for(*events::find_room_version(version), type, kAlice,
                                            state_key, *json::parse_object(content)))
    keys.push_back(key.type + "|" + key.key);
  std::sort(keys.begin(), keys.end());
  return keys;
}

using Keys = std::vector<std::string>;

TEST(AuthTypes, OfCreateEventsAreNone) {
  EXPECT_EQ(selected("1", "m.room.create", "", "{}"), Keys{});
  EXPECT_EQ(selected("12", "m.room.create", "", "{}"), Keys{});
}

TEST(AuthTypes, OfOtherEventsAreCreateLevelsAndSender) {
  const Keys with_create = {"m.room.create|", "m.room.member|@alice:a.example",
                            "m.room.power_levels|"};
  const Keys without = {"m.room.member|@alice:a.example", "m.room.power_levels|"};
  EXPECT_EQ(selected("1", "m.room.message", {}, "{}"), with_create);
  EXPECT_EQ(selected("11", "m.room.topic", "", "{}"), with_create);
  EXPECT_EQ(selected("12", "m.room.topic", "", "{}"), without);
}

TEST(AuthTypes, OfMembers) {
  struct Case {
    const char* version;
    const char* target;
    const char* content;
    Keys expected;  // besides create, levels and sender
  };
  const std::string rules = "m.room.join_rules|";
  const std::string bob = "m.room.member|@bob:b.example";
  for (const Case& test : std::initializer_list<Case>{
           {"1", kAlice, R"({"membership":"join"})", {rules}},
           {"1", kAlice, R"({"membership":"leave"})", {}},
           {"1", kBob, R"({"membership":"ban"})", {bob}},
           {"1", kBob, R"({"membership":"invite"})", {rules, bob}},
           {"1", kAlice, R"({"membership":"knock"})", {}},
           {"7", kAlice, R"({"membership":"knock"})", {rules}},
           {"1",
            kBob,
            R"({"membership":"invite","third_party_invite":{"signed":{"token":"t"}}})",
            {rules, bob, "m.room.third_party_invite|t"}},
           {"1",
            kBob,
            R"({"membership":"ban","third_party_invite":{"signed":{"token":"t"}}})",
            {bob}},
           {"1",
            kBob,
            R"({"membership":"invite","third_party_invite":{"signed":{"token":1}}})",
            {rules, bob}},
           {"7",
            kAlice,
            R"({"membership":"join","join_authorised_via_users_server":"@bob:b.example"})",
            {rules}},
           {"8",
            kAlice,
            R"({"membership":"join","join_authorised_via_users_server":"@bob:b.example"})",
            {rules, bob}},
           {"8",
            kAlice,
            R"({"membership":"leave","join_authorised_via_users_server":"@bob:b.example"})",
            {}},
           {"8",
            kAlice,
            R"({"membership":"join","join_authorised_via_users_server":"@alice:a.example"})",
            {rules}},
           {"12", kAlice, R"({})", {}},
           {"12", kAlice, R"({"membership":7})", {}},
       }) {
    Keys expected = test.expected;
    expected.push_back("m.room.member|@alice:a.example");
    expected.push_back("m.room.power_levels|");
    if (std::string_view(test.version) != "12") expected.push_back("m.room.create|");
    std::sort(expected.begin(), expected.end());
    EXPECT_EQ(selected(test.version, "m.room.member", test.target, test.content), expected)
        << test.version << " " << test.content;
  }
}

class CheckAuthEvents : public testing::TestWithParam<const char*> {
 protected:
  CheckAuthEvents() : room_(GetParam()) {
    room_.add("create", {.sender = kAlice,
                         .type = "m.room.create",
                         .state_key = "",
                         .content = R"({"creator":"@alice:a.example"})"});
    base_ = is_v12() ? std::vector<std::string>{} : std::vector<std::string>{"create"};
    room_.add("alice", join(base_));
    room_.add("alice again", join(with({"alice"}), 2));
    room_.add("levels", {.sender = kAlice,
                         .type = "m.room.power_levels",
                         .state_key = "",
                         .auth = with({"alice"})});
    room_.add("topic", {.sender = kAlice,
                        .type = "m.room.topic",
                        .state_key = "",
                        .auth = with({"alice", "levels"})});
    room_.add("message", {.sender = kAlice, .type = "m.room.message", .state_key = {}});
  }
  static bool is_v12() { return std::string_view(GetParam()) == "12"; }
  TestEvent join(std::vector<std::string> auth, int64_t ts = 1) {
    return {.sender = kAlice,
            .type = "m.room.member",
            .state_key = kAlice,
            .content = R"({"membership":"join"})",
            .auth = std::move(auth),
            .ts = ts};
  }
  std::vector<std::string> with(std::vector<std::string> names) const {
    names.insert(names.begin(), base_.begin(), base_.end());
    return names;
  }
  // What a topic with these auth events is refused by.
  std::string answer(std::vector<std::string> auth) {
    auto event = room_.make(
        "event",
        {.sender = kAlice, .type = "m.room.topic", .state_key = "", .auth = std::move(auth)});
    if (!event.ok()) return "malformed: " + event.error().message;
    return answer(**event, room_);
  }
  static std::string answer(const events::Event& event, Source& source) {
    Status status = check_auth_events(event, source);
    if (status.ok()) return "ok";
    if (status.error().code != ErrorCode::kForbidden) return status.error().message;
    return status.error().message.substr(5, status.error().message.find(':') - 5);
  }
  std::string rule(int step) const { return (is_v12() ? "3." : "2.") + std::to_string(step); }

  TestRoom room_;
  std::vector<std::string> base_;
};

TEST_P(CheckAuthEvents, AllowsWhatTheSelectionAllows) {
  EXPECT_EQ(answer(with({"alice", "levels"})), "ok");
  EXPECT_EQ(answer(with({})), "ok");
}

TEST_P(CheckAuthEvents, RefusesTwoOfOneKey) {
  EXPECT_EQ(answer(with({"alice", "alice again"})), rule(1));
}

TEST_P(CheckAuthEvents, RefusesWhatIsNotSelected) {
  EXPECT_EQ(answer(with({"alice", "topic"})), rule(2));
  EXPECT_EQ(answer(with({"message"})), rule(2));
}

TEST_P(CheckAuthEvents, RefusesRejectedOnes) {
  room_.reject("levels");
  EXPECT_EQ(answer(with({"alice", "levels"})), rule(3));
}

TEST_P(CheckAuthEvents, WantsTheCreateEventBefore12AndNotFrom12On) {
  EXPECT_EQ(answer(is_v12() ? std::vector<std::string>{"create", "alice"}
                            : std::vector<std::string>{"alice"}),
            is_v12() ? "3.2" : "2.4");
}

TEST_P(CheckAuthEvents, RefusesThoseOfAnotherRoom) {
  TestRoom other(room_.rules(), RoomId::trusted("!other:a.example"));
  other.add("create", {.sender = kAlice,
                       .type = "m.room.create",
                       .state_key = "",
                       .content = R"({"creator":"@alice:a.example","x":1})"});
  other.add("levels", {.sender = kAlice, .type = "m.room.power_levels", .state_key = ""});
  auto event = room_.make("event", {.sender = kAlice, .type = "m.room.topic", .state_key = ""});
  ASSERT_TRUE(event.ok());
  std::vector<NamedEvent> auth = {{other.get("levels"), false}};
  if (!is_v12()) auth.push_back({room_.get("create"), false});
  Status status = check_auth_events(**event, auth, {room_.get("create"), false});
  ASSERT_FALSE(status.ok());
  EXPECT_TRUE(status.error().message.starts_with("rule " + rule(is_v12() ? 4 : 5) + ":"))
      << status.error().message;
}

TEST_P(CheckAuthEvents, ReportsUnknownOnesAsNotFound) {
  TestRoom elsewhere(room_.rules(), room_.room_id());
  elsewhere.add("create", {.sender = kBob, .type = "m.room.create", .state_key = ""});
  elsewhere.add("levels", {.sender = kAlice, .type = "m.room.power_levels", .state_key = ""});
  auto event = room_.make(
      "event",
      {.sender = kAlice, .type = "m.room.topic", .state_key = "", .auth = with({"alice"})});
  ASSERT_TRUE(event.ok());
  Status status = check_auth_events(**event, elsewhere);
  ASSERT_FALSE(status.ok());
  if (is_v12())
    EXPECT_TRUE(status.error().message.starts_with("rule 2:")) << status.error().message;
  else
    EXPECT_EQ(status.error().code, ErrorCode::kNotFound);
}

TEST_P(CheckAuthEvents, WantsAnAcceptedCreateEventFrom12On) {
  room_.reject("create");
  EXPECT_EQ(answer(with({"alice"})), is_v12() ? "2" : "2.3");
}

TEST_P(CheckAuthEvents, IsNotForCreateEvents) {
  EXPECT_EQ(answer(*room_.get("create"), room_), "ok");
}

INSTANTIATE_TEST_SUITE_P(Versions, CheckAuthEvents, testing::Values("1", "5", "6", "11", "12"));

}  // namespace
}  // namespace polder::dag
