// Ignored users: what of theirs is shown.
#include "homeserver/server/testing/homeserver.h"

namespace polder::server {
namespace {

class IgnoringTest : public HomeserverTest {
 protected:
  void ignore(const std::string& token, const std::string& users) {
    EXPECT_EQ(call("PUT", "/_matrix/client/v3/user/@alice:own/account_data/m.ignored_user_list",
                   token, R"({"ignored_users":)" + users + "}")
                  .status,
              200);
  }
  std::string paged(const std::string& token, const std::string& room) {
    const Answer messages = call("GET", rooms(room, "/messages?dir=f&limit=50"), token);
    std::string all;
    for (const json::Value& event : *messages.body.as_object()->find_array("chunk")) {
      if (const json::Value* body = json::at(*event.as_object(), {"content", "body"}))
        all += *body->as_string() + ";";
    }
    return all;
  }
};

TEST_F(IgnoringTest, TheirMessagesAreNotShownTheirStateIs) {
  const std::string alice = join_token("alice");
  const std::string bob = join_token("bob");
  const std::string room = create_room(
      alice, R"({"preset":"public_chat","power_level_content_override":{"state_default":0}})");
  call("POST", rooms(room, "/join"), bob);
  const std::string root = say(alice, room, "one", "1").text({"event_id"});
  say(bob, room, "two", "1");
  ignore(alice, R"({"@bob:own":{},"@alice:own":{}})");
  const std::string since = sync(alice).text({"next_batch"});
  say(bob, room, "three", "2");
  call("PUT", rooms(room, "/state/m.room.topic"), bob, R"({"topic":"T"})");
  call("PUT", rooms(room, "/send/m.reaction/3"), bob,
       R"({"m.relates_to":{"rel_type":"m.annotation","event_id":")" + root + R"(","key":"+"}})");
  say(alice, room, "four", "2");
  const Answer incremental = sync(alice, since);
  EXPECT_EQ(bodies(incremental, room), "four;");
  EXPECT_NE(incremental.text({"rooms", "join", room, "timeline"}).find("m.room.topic"),
            std::string::npos);
  EXPECT_EQ(bodies(sync(alice), room), "one;four;");
  EXPECT_EQ(paged(alice, room), "one;four;");
  EXPECT_EQ(paged(bob, room), "one;two;three;four;");
  const std::string relations = "/_matrix/client/v1/rooms/" + room + "/relations/" + root;
  EXPECT_EQ(call("GET", relations, alice).text({"chunk"}), "[]");
  ignore(alice, "{}");
  EXPECT_EQ(paged(alice, room), "one;two;three;four;");
  EXPECT_NE(call("GET", relations, alice).text({"chunk"}), "[]");
  ignore(alice, "[]");
  EXPECT_EQ(paged(alice, room), "one;two;three;four;");
}

TEST_F(IgnoringTest, TheirMessagesAreNotCounted) {
  const std::string alice = join_token("alice");
  const std::string bob = join_token("bob");
  const std::string carol = join_token("carol");
  const std::string room = create_room(alice, R"({"preset":"public_chat"})");
  for (const std::string& token : {bob, carol})
    call("POST", rooms(room, "/join"), token);
  say(alice, room, "one", "1");
  const auto unread = [&] {
    return sync(alice).text({"rooms", "join", room, "unread_notifications"});
  };
  say(bob, room, "two for alice", "1");
  say(carol, room, "three", "1");
  call("PUT", rooms(room, "/send/m.room.message/2"), bob,
       R"({"body":"four","msgtype":"m.text","m.mentions":{"user_ids":["@alice:own"]}})");
  EXPECT_EQ(unread(), R"({"highlight_count":1,"notification_count":3})");
  ignore(alice, R"({"@bob:own":{}})");
  EXPECT_EQ(unread(), R"({"highlight_count":0,"notification_count":1})");
  call("POST", rooms(room, "/leave"), bob);
  EXPECT_EQ(unread(), R"({"highlight_count":0,"notification_count":1})");
  ignore(alice, "{}");
  EXPECT_EQ(unread(), R"({"highlight_count":1,"notification_count":3})");
}

TEST_F(IgnoringTest, TheyCountInNothingThatIsSaidOfOtherEvents) {
  const std::string alice = join_token("alice");
  const std::string bob = join_token("bob");
  const std::string carol = join_token("carol");
  const std::string room = create_room(alice, R"({"preset":"public_chat"})");
  for (const std::string& token : {bob, carol})
    call("POST", rooms(room, "/join"), token);
  const std::string root = say(alice, room, "root", "1").text({"event_id"});
  const std::string other = say(alice, room, "other", "2").text({"event_id"});
  int transactions = 0;
  const auto relate = [&](const std::string& token, const std::string& type,
                          const std::string& parent) {
    const std::string path = "/send/m.room.message/r" + std::to_string(++transactions);
    const std::string relation = R"({"rel_type":")" + type + R"(","event_id":")" + parent + "\"}";
    return call("PUT", rooms(room, path), token, R"({"body":"r","m.relates_to":)" + relation + "}")
        .text({"event_id"});
  };
  relate(bob, "m.thread", root);
  const std::string carols = relate(carol, "m.thread", root);
  relate(bob, "m.thread", root);
  relate(bob, "m.thread", other);
  relate(bob, "m.reference", root);
  const auto thread = [&](const std::string& event, std::string_view member) {
    return call("GET", rooms(room, "/event/" + event), alice)
        .text({"unsigned", "m.relations", "m.thread", member});
  };
  const std::string threads = "/_matrix/client/v1/rooms/" + room + "/threads";
  EXPECT_EQ(thread(root, "count"), "3");
  EXPECT_EQ(thread(other, "count"), "1");
  EXPECT_NE(call("GET", threads, alice).text({"chunk"}).find(other), std::string::npos);
  ignore(alice, R"({"@bob:own":{}})");
  EXPECT_EQ(thread(root, "count"), "1");
  EXPECT_NE(thread(root, "latest_event").find(carols), std::string::npos);
  EXPECT_EQ(thread(other, "count"), "");
  EXPECT_EQ(call("GET", rooms(room, "/event/" + root), alice)
                .text({"unsigned", "m.relations", "m.reference"}),
            "");
  EXPECT_EQ(call("GET", threads, alice).text({"chunk"}).find(other), std::string::npos);
  EXPECT_EQ(sync(alice).text({"rooms", "join", room}).find(R"("count":3)"), std::string::npos);
  ignore(alice, "{}");
  EXPECT_EQ(thread(root, "count"), "3");
}

TEST_F(IgnoringTest, TheirInvitesAreNotShown) {
  const std::string alice = join_token("alice");
  const std::string bob = join_token("bob");
  const std::string carol = join_token("carol");
  ignore(alice, R"({"@bob:own":{}})");
  const std::string since = sync(alice).text({"next_batch"});
  const std::string body = R"({"invite":["@alice:own"]})";
  const std::string bobs = create_room(bob, body);
  const std::string carols = create_room(carol, body);
  for (const Answer& answer : {sync(alice, since), sync(alice)}) {
    EXPECT_EQ(answer.text({"rooms", "invite", bobs}), "");
    EXPECT_NE(answer.text({"rooms", "invite", carols}), "");
  }
  ignore(alice, "{}");
  EXPECT_NE(sync(alice).text({"rooms", "invite", bobs}), "");
}

}  // namespace
}  // namespace polder::server
