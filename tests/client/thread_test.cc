// The threads of a room.
#include "homeserver/server/testing/homeserver.h"
#include "storage/stores/check/check.h"

namespace polder::server {
namespace {

class ThreadTest : public HomeserverTest {
 protected:
  static std::string v1(const std::string& room, const std::string& rest) {
    return "/_matrix/client/v1/rooms/" + room + rest;
  }
  std::string reply(const std::string& token, const std::string& room, const std::string& root,
                    const std::string& text) {
    const Answer sent =
        call("PUT", rooms(room, "/send/m.room.message/" + std::to_string(++transactions_)), token,
             R"({"body":")" + text + R"(","m.relates_to":{"rel_type":"m.thread","event_id":")" +
                 root + "\"}}");
    EXPECT_EQ(sent.status, 200);
    return sent.text({"event_id"});
  }
  Answer threads(const std::string& token, const std::string& room, const std::string& query = "") {
    return call("GET", v1(room, "/threads" + query), token);
  }
  // The bodies of the roots.
  static std::string roots(const Answer& answer) {
    EXPECT_EQ(answer.status, 200);
    std::string all;
    for (const json::Value& event : *answer.body.as_object()->find_array("chunk")) {
      const json::Value* body = json::at(*event.as_object(), {"content", "body"});
      all += body != nullptr ? *body->as_string() : "-";
    }
    return all;
  }
  std::string redact(const std::string& token, const std::string& room, const std::string& event) {
    return call("PUT", rooms(room, "/redact/" + event + "/" + std::to_string(++transactions_)),
                token, "{}")
        .text({"event_id"});
  }

  int transactions_ = 1000;
};

TEST_F(ThreadTest, ThreadsAreListedByTheirLatestReply) {
  const std::string alice = join_token("alice");
  const std::string bob = join_token("bob");
  const std::string room = create_room(alice, R"({"preset":"public_chat"})");
  call("POST", rooms(room, "/join"), bob);
  std::map<std::string, std::string> root;
  for (const char* name : {"a", "b", "c", "d"})
    root[name] = say(alice, room, name, name).text({"event_id"});
  EXPECT_EQ(roots(threads(alice, room)), "");
  for (const char* name : {"a", "b", "c"})
    reply(alice, room, root[name], "x");
  EXPECT_EQ(roots(threads(alice, room)), "cba");
  const std::string latest = reply(bob, room, root["a"], "y");
  const Answer all = threads(bob, room, "?include=all");
  EXPECT_EQ(roots(all), "acb");
  const json::Object& first = *(*all.body.as_object()->find_array("chunk"))[0].as_object();
  EXPECT_EQ(*json::at(first, {"unsigned", "m.relations", "m.thread", "latest_event", "event_id"})
                 ->as_string(),
            latest);
  EXPECT_EQ(roots(threads(bob, room, "?include=participated")), "a");
  EXPECT_EQ(roots(threads(alice, room, "?include=participated")), "acb");
  EXPECT_EQ(threads(alice, room, "?include=some").text({"errcode"}), "M_INVALID_PARAM");
  const Answer page = threads(alice, room, "?limit=2");
  EXPECT_EQ(roots(page), "ac");
  const Answer rest = threads(alice, room, "?limit=2&from=" + page.text({"next_batch"}));
  EXPECT_EQ(roots(rest), "b");
  EXPECT_EQ(rest.text({"next_batch"}), "");
  redact(bob, room, latest);
  EXPECT_EQ(roots(threads(alice, room)), "cba");
  EXPECT_EQ(roots(threads(alice, room, "?limit=1&from=" + page.text({"next_batch"}))), "b");
  EXPECT_EQ(roots(threads(bob, room, "?include=participated")), "");
}

TEST_F(ThreadTest, AThreadWithoutRepliesIsNoneAndOneWithoutContentIs) {
  const std::string alice = join_token("alice");
  const std::string bob = join_token("bob");
  const std::string room = create_room(alice, R"({"preset":"public_chat"})");
  call("POST", rooms(room, "/join"), bob);
  const std::string root = say(bob, room, "r", "1").text({"event_id"});
  const std::string only = reply(alice, room, root, "x");
  redact(alice, room, only);
  EXPECT_EQ(roots(threads(alice, room)), "");
  reply(alice, room, root, "y");
  EXPECT_EQ(roots(threads(alice, room)), "r");
  // Of ignored users the root comes redacted; their replies elsewhere do not matter.
  call("PUT", "/_matrix/client/v3/user/@alice:own/account_data/m.ignored_user_list", alice,
       R"({"ignored_users":{"@bob:own":{}}})");
  EXPECT_EQ(roots(threads(alice, room)), "-");
  EXPECT_EQ(roots(threads(bob, room)), "r");
  redact(bob, room, root);
  EXPECT_EQ(roots(threads(bob, room)), "-");
}

TEST_F(ThreadTest, ThreadsThatTheReaderMayNotSeeAreNotListed) {
  const std::string alice = join_token("alice");
  const std::string bob = join_token("bob");
  const std::string room = create_room(
      alice,
      R"({"preset":"public_chat","initial_state":[{"type":"m.room.history_visibility","content":{"history_visibility":"joined"}}]})");
  const std::string early = say(alice, room, "e", "1").text({"event_id"});
  reply(alice, room, early, "x");
  EXPECT_EQ(threads(bob, room).status, 403);
  call("POST", rooms(room, "/join"), bob);
  const std::string late = say(alice, room, "l", "2").text({"event_id"});
  reply(alice, room, late, "x");
  reply(alice, room, early, "y");
  EXPECT_EQ(roots(threads(bob, room)), "l");
  EXPECT_EQ(roots(threads(alice, room)), "el");
  call("POST", rooms(room, "/leave"), bob);
  const std::string gone = say(alice, room, "g", "3").text({"event_id"});
  reply(alice, room, gone, "x");
  reply(alice, room, late, "z");
  EXPECT_EQ(roots(threads(bob, room)), "l");
  EXPECT_EQ(stores::check_database(*database_->snapshot())->faults, std::vector<std::string>{});
}

}  // namespace
}  // namespace polder::server
