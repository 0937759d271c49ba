// Events that users send and redact.
#include "homeserver/server/testing/homeserver.h"
#include "storage/stores/audit/audit_rows.h"

namespace polder::server {
namespace {

class RoomEventsTest : public HomeserverTest {
 protected:
  std::string room_of_two(const std::string& version, const std::string& alice,
                          const std::string& bob) {
    const std::string room =
        create_room(alice, R"({"preset":"public_chat","room_version":")" + version + R"("})");
    EXPECT_EQ(call("POST", rooms(room, "/join"), bob, "{}").status, 200);
    return room;
  }
  std::string body_of_event(const std::string& token, const std::string& room,
                            const std::string& event) {
    return call("GET", rooms(room, "/event/" + base::percent_encode(event)), token)
        .text({"content", "body"});
  }
  Answer redact(const std::string& token, const std::string& room, const std::string& event) {
    return call("PUT",
                rooms(room, "/redact/" + base::percent_encode(event) + "/t" +
                                std::to_string(++redactions_)),
                token, "{}");
  }
  Answer redact_by_sending(const std::string& token, const std::string& room,
                           const std::string& event) {
    return call("PUT", rooms(room, "/send/m.room.redaction/s" + std::to_string(++redactions_)),
                token, R"({"redacts":")" + event + R"("})");
  }

  int redactions_ = 0;
};

TEST_F(RoomEventsTest, OthersEventsAreRedactedByWhoHasTheLevelAlone) {
  const std::string alice = join_token("alice");
  const std::string bob = join_token("bob");
  for (int version = 1; version <= 12; ++version) {
    const std::string room = room_of_two(std::to_string(version), alice, bob);
    const std::string hers = say(alice, room, "hers", "a").text({"event_id"});
    const std::string his = say(bob, room, "his", "b").text({"event_id"});
    EXPECT_EQ(redact(bob, room, hers).text({"errcode"}), "M_FORBIDDEN") << version;
    EXPECT_EQ(redact_by_sending(bob, room, hers).status, 403) << version;
    // A state event may carry what a redaction carries.
    EXPECT_NE(call("PUT", rooms(room, "/state/m.room.redaction/x"), bob,
                   R"({"redacts":")" + hers + R"("})")
                  .status,
              200)
        << version;
    EXPECT_EQ(body_of_event(alice, room, hers), "hers") << version;
    EXPECT_EQ(redact(bob, room, his).status, 200) << version;
    EXPECT_EQ(body_of_event(alice, room, his), "") << version;
    const std::string again = say(bob, room, "again", "c").text({"event_id"});
    EXPECT_EQ(redact_by_sending(alice, room, again).status, 200) << version;
    EXPECT_EQ(body_of_event(alice, room, again), "") << version;
  }
}

TEST_F(RoomEventsTest, WhatCannotBeRedactedIsSaidSo) {
  const std::string alice = join_token("alice");
  const std::string bob = join_token("bob");
  const std::string room = room_of_two("12", alice, bob);
  const std::string other_room = create_room(alice);
  const std::string elsewhere = say(alice, other_room, "elsewhere", "a").text({"event_id"});
  const std::string create = "$" + room.substr(1);
  const Answer of_other_room = redact(alice, room, elsewhere);
  EXPECT_EQ(of_other_room.status, 400);
  EXPECT_EQ(of_other_room.text({"errcode"}), "M_INVALID_PARAM");
  EXPECT_EQ(redact(bob, room, elsewhere).status, 400);
  EXPECT_EQ(redact(alice, room, create).status, 403);
  EXPECT_EQ(redact(bob, room, "$unknown").status, 404);
  EXPECT_EQ(body_of_event(alice, other_room, elsewhere), "elsewhere");
  // Nor by the state that a room begins with.
  const Answer made = call("POST", "/_matrix/client/v3/createRoom", bob,
                           R"({"initial_state":[{"type":"m.room.redaction","state_key":"",
                               "content":{"redacts":")" +
                               elsewhere + R"("}}]})");
  EXPECT_EQ(made.text({"errcode"}), "M_INVALID_ROOM_STATE");
}

TEST_F(RoomEventsTest, RefusalsAndPrivilegesAreOnRecord) {
  const std::string alice = join_token("alice");
  const std::string bob = join_token("bob");
  const std::string room = room_of_two("12", alice, bob);
  const std::string hers = say(alice, room, "hers", "a").text({"event_id"});
  const std::string his = say(bob, room, "his", "b").text({"event_id"});
  EXPECT_EQ(redact(bob, room, hers).status, 403);
  const std::string redaction = redact(alice, room, his).text({"event_id"});
  simulation_->run_for(Millis(2000));
  const auto records = *stores::read_audit(*database_->snapshot(), 0, 10);
  ASSERT_EQ(records.size(), 2u);
  std::set<bool> outcomes;
  for (const stores::AuditRecord& record : records) {
    outcomes.insert(record.permitted);
    EXPECT_EQ(record.act, "redact");
    EXPECT_EQ(record.actor_kind, "client");
    EXPECT_EQ(record.room, room);
    EXPECT_EQ(record.actor, record.permitted ? "@alice:own" : "@bob:own");
    EXPECT_FALSE(record.device.empty());
    EXPECT_EQ(record.target, record.permitted ? his : hers);
    EXPECT_EQ(record.by, record.permitted ? "redact_level" : "redaction");
    EXPECT_EQ(record.event, record.permitted ? redaction : "");
  }
  EXPECT_EQ(outcomes.size(), 2u);
}

TEST_F(RoomEventsTest, EqualRequestsAtOnceAreOneEventAndHaveEqualAnswers) {
  const std::string alice = join_token("alice");
  const std::string room = create_room(alice);
  std::vector<std::shared_ptr<std::optional<Answer>>> answers;
  for (int i = 0; i < 8; ++i)
    answers.push_back(begin("PUT", rooms(room, "/send/m.room.message/t"), alice,
                            R"({"body":"once","msgtype":"m.text"})"));
  ASSERT_TRUE(simulation_->run_until(
      [&] { return std::ranges::all_of(answers, [](const auto& a) { return a->has_value(); }); },
      Millis(60'000)));
  std::set<std::string> events;
  for (const auto& answer : answers) {
    EXPECT_EQ((*answer)->status, 200);
    events.insert((*answer)->text({"event_id"}));
  }
  EXPECT_EQ(events.size(), 1u);
  EXPECT_EQ(bodies(sync(alice), room), "once;");
  crash();
  EXPECT_EQ(say(alice, room, "once", "t").text({"event_id"}), *events.begin());
}

TEST_F(RoomEventsTest, ATransactionIdBelongsToItsPath) {
  const std::string alice = join_token("alice");
  const std::string room = create_room(alice);
  const std::string other = create_room(alice);
  const auto send = [&](const std::string& path) {
    const Answer answer = call("PUT", path, alice, "{}");
    EXPECT_EQ(answer.status, 200) << path;
    return answer.text({"event_id"});
  };
  std::set<std::string> events;
  const std::string first = send(rooms(room, "/send/one/t"));
  const std::string second = send(rooms(room, "/send/two/t"));
  const std::vector<std::string> paths = {
      rooms(room, "/send/one/t"),
      rooms(room, "/send/two/t"),
      rooms(other, "/send/one/t"),
      rooms(room, "/send/one%7C/t"),
      rooms(room, "/redact/" + first + "/t"),
      rooms(room, "/redact/" + second + "/t"),
  };
  for (const std::string& path : paths)
    events.insert(send(path));
  EXPECT_EQ(events.size(), paths.size());
  for (const std::string& path : paths)
    events.insert(send(path));
  EXPECT_EQ(events.size(), paths.size());
}

// "The scope of a transaction ID is for a single device": one that has ended, and one that begins
// with the same id, are two.
TEST_F(RoomEventsTest, ATransactionIdEndsWithItsDevice) {
  join_token("alice");
  const auto log_in = [&] {
    return call("POST", "/_matrix/client/v3/login", "",
                R"({"type":"m.login.password","user":"alice","password":"pw","device_id":"PHONE"})")
        .text({"access_token"});
  };
  const std::string first = log_in();
  const std::string room = create_room(first);
  EXPECT_EQ(say(first, room, "one", "t").status, 200);
  const std::string again = log_in();
  EXPECT_EQ(say(again, room, "one", "t").status, 200) << "the same device";
  EXPECT_EQ(call("POST", "/_matrix/client/v3/logout", again).status, 200);
  EXPECT_EQ(say(log_in(), room, "two", "t").status, 200);
  EXPECT_EQ(bodies(sync(log_in()), room), "one;two;");
}

TEST_F(RoomEventsTest, RelationsThatBreakTheirRulesAreRefused) {
  const std::string alice = join_token("alice");
  const std::string bob = join_token("bob");
  const std::string room = room_of_two("12", alice, bob);
  const std::string elsewhere = say(alice, create_room(alice), "elsewhere", "a").text({"event_id"});
  const std::string root = say(alice, room, "root", "a").text({"event_id"});
  int sent = 0;
  const auto relate = [&](const std::string& token, const std::string& type,
                          const std::string& relation, const std::string& parent,
                          const std::string& key) {
    return call("PUT", rooms(room, "/send/" + type + "/r" + std::to_string(++sent)), token,
                R"({"body":"x","m.relates_to":{"rel_type":")" + relation + R"(","event_id":")" +
                    parent + R"(","key":")" + key + R"("}})");
  };
  const Answer first = relate(alice, "m.reaction", "m.annotation", root, "+1");
  EXPECT_EQ(first.status, 200);
  struct Case {
    std::string token, type, relation, parent, key, errcode;
  };
  const std::string reply =
      relate(alice, "m.room.message", "m.thread", root, "").text({"event_id"});
  const std::vector<Case> cases = {
      {alice, "m.reaction", "m.annotation", root, "+1", "M_DUPLICATE_ANNOTATION"},
      {alice, "m.reaction", "m.annotation", root, "-1", ""},
      {alice, "org.other", "m.annotation", root, "+1", ""},
      {bob, "m.reaction", "m.annotation", root, "+1", ""},
      {bob, "m.reaction", "m.annotation", root, "+1", "M_DUPLICATE_ANNOTATION"},
      {alice, "m.room.message", "m.thread", root, "", ""},
      {alice, "m.room.message", "m.thread", reply, "", "M_UNKNOWN"},
      {alice, "m.reaction", "m.annotation", reply, "+1", ""},
      {alice, "m.reaction", "m.annotation", elsewhere, "+1", "M_UNKNOWN"},
      {alice, "m.room.message", "m.thread", "$unknown", "", "M_UNKNOWN"},
      {alice, "m.room.message", "m.reference", reply, "", ""},
  };
  for (const Case& c : cases) {
    const Answer answer = relate(c.token, c.type, c.relation, c.parent, c.key);
    EXPECT_EQ(answer.status, c.errcode.empty() ? 200 : 400) << c.type << c.relation << c.key;
    EXPECT_EQ(answer.text({"errcode"}), c.errcode) << c.type << c.relation << c.key;
  }
  // What was taken back may be said again.
  EXPECT_EQ(redact(alice, room, first.text({"event_id"})).status, 200);
  EXPECT_EQ(relate(alice, "m.reaction", "m.annotation", root, "+1").status, 200);
  EXPECT_EQ(relate(alice, "m.reaction", "m.annotation", root, "+1").status, 400);
}

TEST_F(RoomEventsTest, EqualAnnotationsAtOnceAreOne) {
  const std::string alice = join_token("alice");
  const std::string room = create_room(alice);
  const std::string root = say(alice, room, "root", "a").text({"event_id"});
  std::vector<std::shared_ptr<std::optional<Answer>>> answers;
  for (int i = 0; i < 4; ++i)
    answers.push_back(begin(
        "PUT", rooms(room, "/send/m.reaction/t" + std::to_string(i)), alice,
        R"({"m.relates_to":{"rel_type":"m.annotation","key":"x","event_id":")" + root + R"("}})"));
  ASSERT_TRUE(simulation_->run_until(
      [&] { return std::ranges::all_of(answers, [](const auto& a) { return a->has_value(); }); },
      Millis(60'000)));
  EXPECT_EQ(std::ranges::count_if(answers, [](const auto& a) { return (*a)->status == 200; }), 1);
}

// https://spec.matrix.org/v1.19/appendices/#canonical-json: whatever the room version tolerates of
// others.
TEST_F(RoomEventsTest, NoLocalEventHasFractions) {
  const std::string alice = join_token("alice");
  const auto create = [&](const std::string& version, const std::string& more) {
    return call("POST", "/_matrix/client/v3/createRoom", alice,
                R"({"room_version":")" + version + R"(",)" + more + "}");
  };
  for (const char* version : {"1", "5", "6", "12"}) {
    for (const char* more :
         {R"("creation_content":{"x":1.5})", R"("power_level_content_override":{"ban":50.5})",
          R"("initial_state":[{"type":"x","content":{"x":1e3}}])"})
      EXPECT_EQ(create(version, more).status, 400) << version << more;
    const std::string room =
        create_room(alice, R"({"room_version":")" + std::string(version) + R"("})");
    EXPECT_EQ(call("PUT", rooms(room, "/send/x/1"), alice, R"({"x":1.5})").status, 400);
    EXPECT_EQ(call("PUT", rooms(room, "/state/x/"), alice, R"({"x":1.5})").status, 400);
    EXPECT_EQ(call("PUT", rooms(room, "/state/m.room.member/@alice:own"), alice,
                   R"({"membership":"join","x":1.5})")
                  .status,
              400);
  }
}

TEST_F(RoomEventsTest, WhatIsTooLargeIsSaidToBe) {
  const std::string alice = join_token("alice");
  const std::string room = create_room(alice);
  const std::string name(300, 'x');
  const std::string text(70'000, 'x');
  const std::vector<std::pair<std::string, std::string>> requests = {
      {"/send/" + name + "/1", "{}"},
      {"/state/" + name + "/", "{}"},
      {"/state/x/" + name, "{}"},
      {"/send/m.room.message/2", R"({"body":")" + text + R"("})"},
      {"/state/m.room.topic/", R"({"topic":")" + text + R"("})"},
  };
  for (const auto& [path, body] : requests) {
    const Answer answer = call("PUT", rooms(room, path), alice, body);
    EXPECT_EQ(answer.status, 413) << path.substr(0, 20);
    EXPECT_EQ(answer.text({"errcode"}), "M_TOO_LARGE");
  }
  const Answer made =
      call("POST", "/_matrix/client/v3/createRoom", alice, R"({"topic":")" + text + R"("})");
  EXPECT_EQ(made.status, 413);
}

}  // namespace
}  // namespace polder::server
