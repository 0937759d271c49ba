// Push rules and unread counts, as clients see them.
#include "homeserver/server/testing/homeserver.h"

namespace polder::server {
namespace {

class PushTest : public HomeserverTest {};

// https://spec.matrix.org/v1.19/client-server-api/#push-rules-api
TEST_F(PushTest, RulesAreChangedAndRefusedAsSpecified) {
  const std::string token = join_token("alice");
  const std::string all = "/_matrix/client/v3/pushrules/";
  const std::string cake = all + "global/content/cake";
  const std::string body = R"({"pattern":"cake","actions":["notify","dont_notify"]})";
  const std::string master = all + "global/override/.m.rule.master";
  struct Case {
    std::string method, path, body;
    int status;
    std::string answer;  // errcode, or the JSON
  };
  for (
      const Case& c : std::vector<Case>{
          {"GET", all + "global/content/cake", "", 404, "M_NOT_FOUND"},
          {"GET", all + "global/cakes/cake", "", 404, "M_NOT_FOUND"},
          {"DELETE", all + "global/cakes/cake", "", 404, "M_NOT_FOUND"},
          {"PUT", all + "global/cakes/cake", body, 400, "M_INVALID_PARAM"},
          {"GET", all + "device/content/cake", "", 404, "M_UNRECOGNIZED"},
          {"PUT", cake, "", 400, "M_NOT_JSON"},
          {"PUT", cake, R"({"pattern":"cake","actions":["bake"]})", 400, "M_INVALID_PARAM"},
          {"PUT", all + "global/content/.cake", body, 400, "M_INVALID_PARAM"},
          {"PUT", all + "global/content/a%2Fb", body, 400, "M_INVALID_PARAM"},
          {"PUT", all + "global/content/a%5Cb", body, 400, "M_INVALID_PARAM"},
          {"PUT", cake + "?before=pie", body, 400, "M_UNKNOWN"},
          {"PUT", cake + "/enabled", R"({"enabled":false})", 404, "M_NOT_FOUND"},
          {"PUT", cake + "/actions", R"({"actions":[]})", 404, "M_NOT_FOUND"},
          {"DELETE", cake, "", 404, "M_NOT_FOUND"},
          {"PUT", cake, body, 200, "{}"},
          {"GET", cake, "", 200,
           R"({"actions":["notify","dont_notify"],"default":false,"enabled":true,"pattern":"cake",)"
           R"("rule_id":"cake"})"},
          {"PUT", cake + "/enabled", R"({"enabled":1})", 400, "M_BAD_JSON"},
          {"PUT", cake + "/enabled", R"({"enabled":false})", 200, "{}"},
          {"GET", cake + "/enabled", "", 200, R"({"enabled":false})"},
          {"PUT", cake + "/actions", R"({"actions":7})", 400, "M_BAD_JSON"},
          {"PUT", cake + "/actions", R"({"actions":[]})", 200, "{}"},
          {"GET", cake + "/actions", "", 200, R"({"actions":[]})"},
          {"DELETE", cake, "", 200, "{}"},
          {"GET", cake, "", 404, "M_NOT_FOUND"},
          {"DELETE", master, "", 404, "M_NOT_FOUND"},
          {"PUT", master + "/enabled", R"({"enabled":true})", 200, "{}"},
          {"GET", master + "/enabled", "", 200, R"({"enabled":true})"},
          {"PUT", "/_matrix/client/v3/user/@alice:own/account_data/m.push_rules", "{}", 405,
           "M_BAD_JSON"},
          {"GET", all, "", 401, "M_MISSING_TOKEN"},
      }) {
    const Answer answer =
        call(c.method, c.path, c.answer == "M_MISSING_TOKEN" ? "" : token, c.body);
    EXPECT_EQ(answer.status, c.status) << c.method << c.path;
    EXPECT_EQ(c.status == 200 ? json::write(answer.body) : answer.text({"errcode"}), c.answer)
        << c.method << c.path;
  }
  const Answer rules = call("GET", all, token);
  EXPECT_EQ(json::write(call("GET", all + "global/", token).body), rules.text({"global"}));
  EXPECT_EQ(
      json::write(
          call("GET", "/_matrix/client/v3/user/@alice:own/account_data/m.push_rules", token).body),
      json::write(rules.body));
}

TEST_F(PushTest, SyncTellsOfPushRulesAndOfWhatIsUnread) {
  const std::string alice = join_token("alice");
  const std::string bob = join_token("bob");
  const std::string room = create_room(alice, R"({"preset":"public_chat"})");
  call("POST", rooms(room, "/join"), bob);
  Answer sync = call("GET", "/_matrix/client/v3/sync", bob);
  EXPECT_NE(sync.text({"account_data", "events"}).find(".m.rule.is_user_mention"),
            std::string::npos);
  EXPECT_NE(sync.text({"account_data", "events"}).find("@bob:own"), std::string::npos);
  const auto next = [&](const std::string& more = "") {
    sync = call("GET", "/_matrix/client/v3/sync?since=" + sync.text({"next_batch"}) + more, bob);
    return sync;
  };
  // The count comes with the event.
  const std::string root = say(alice, room, "root", "1").text({"event_id"});
  EXPECT_EQ(next().text({"rooms", "join", room, "unread_notifications"}),
            R"({"highlight_count":0,"notification_count":1})");
  EXPECT_EQ(sync.text({"account_data", "events"}), "[]");
  call("PUT", rooms(room, "/send/m.room.message/2"), alice,
       R"({"body":"x","m.mentions":{"user_ids":["@bob:own"]},)"
       R"("m.relates_to":{"rel_type":"m.thread","event_id":")" +
           root + R"("}})");
  const std::string by_thread =
      "&filter=%7B%22room%22%3A%7B%22timeline%22%3A%7B%22unread_thread_notifications%22%3Atrue"
      "%7D%7D%7D";
  EXPECT_EQ(next(by_thread).text({"rooms", "join", room, "unread_notifications"}),
            R"({"highlight_count":0,"notification_count":1})");
  EXPECT_EQ(sync.text({"rooms", "join", room, "unread_thread_notifications"}),
            R"({")" + root + R"(":{"highlight_count":1,"notification_count":1}})");
  // A receipt changes it, and a change of rules is told of at once.
  call("POST", rooms(room, "/receipt/m.read.private/" + root), bob, "{}");
  EXPECT_EQ(next().text({"rooms", "join", room, "unread_notifications"}),
            R"({"highlight_count":1,"notification_count":1})");
  const auto waiting = begin(
      "GET", "/_matrix/client/v3/sync?timeout=30000&since=" + sync.text({"next_batch"}), bob, "");
  simulation_->run_for(Millis(1000));
  EXPECT_FALSE(waiting->has_value());
  call("PUT", "/_matrix/client/v3/pushrules/global/override/.m.rule.master/enabled", bob,
       R"({"enabled":true})");
  simulation_->run_for(Millis(1000));
  ASSERT_TRUE(waiting->has_value());
  EXPECT_EQ((*waiting)->body.as_object()->find_object("account_data")->find_array("events")->size(),
            1u);
  // What came before stays unread.
  say(alice, room, "unheard", "3");
  EXPECT_EQ(next().text({"rooms", "join", room, "unread_notifications"}),
            R"({"highlight_count":1,"notification_count":1})");
}

}  // namespace
}  // namespace polder::server
