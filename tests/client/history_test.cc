// Messages, and what relates to them.
#include "homeserver/server/testing/homeserver.h"

namespace polder::server {
namespace {

class HistoryTest : public HomeserverTest {};

TEST_F(HistoryTest, ALimitedTimelineIsContinuedByMessages) {
  const std::string alice = join_token("alice");
  const std::string room = create_room(alice);
  for (int i = 0; i < 25; ++i)
    say(alice, room, std::to_string(i), std::to_string(i));
  const Answer sync = call("GET",
                           "/_matrix/client/v3/sync?filter="
                           "%7B%22room%22%3A%7B%22timeline%22%3A%7B%22limit%22%3A5%7D%7D%7D",
                           alice);
  EXPECT_EQ(bodies(sync, room), "20;21;22;23;24;");
  EXPECT_EQ(sync.text({"rooms", "join", room, "timeline", "limited"}), "true");
  std::string from = sync.text({"rooms", "join", room, "timeline", "prev_batch"});
  std::string seen;
  for (int page = 0; page < 10 && !from.empty(); ++page) {
    const Answer messages = call("GET", rooms(room, "/messages?dir=b&limit=7&from=" + from), alice);
    EXPECT_EQ(messages.status, 200);
    for (const json::Value& event : *messages.body.as_object()->find_array("chunk")) {
      if (const json::Value* body = json::at(*event.as_object(), {"content", "body"}))
        seen += *body->as_string() + ";";
    }
    from = messages.text({"end"});
  }
  EXPECT_EQ(seen, "19;18;17;16;15;14;13;12;11;10;9;8;7;6;5;4;3;2;1;0;");
}

TEST_F(HistoryTest, EditsAndThreadsAreBundledWithTheirEvent) {
  const std::string alice = join_token("alice");
  const std::string bob = join_token("bob");
  const std::string room = create_room(alice, R"({"preset":"public_chat"})");
  call("POST", rooms(room, "/join"), bob);
  const std::string root = say(alice, room, "root", "1").text({"event_id"});
  int transaction = 10;
  const auto relate = [&](const std::string& token, const std::string& rel_type,
                          const std::string& rest) {
    return call("PUT", rooms(room, "/send/m.room.message/" + std::to_string(transaction++)), token,
                R"({"body":"x","msgtype":"m.text","m.relates_to":{"rel_type":")" + rel_type +
                    R"(","event_id":")" + root + "\"}" + rest + "}")
        .text({"event_id"});
  };
  const auto bundle = [&](const std::string& token) {
    return call("GET", rooms(room, "/event/" + root), token);
  };
  EXPECT_EQ(bundle(alice).text({"unsigned", "m.relations"}), "");
  relate(alice, "m.thread", "");
  const std::string last = relate(alice, "m.thread", "");
  EXPECT_EQ(bundle(bob).text({"unsigned", "m.relations", "m.thread", "count"}), "2");
  EXPECT_EQ(bundle(bob).text({"unsigned", "m.relations", "m.thread", "current_user_participated"}),
            "false");
  const std::string answer = relate(bob, "m.thread", "");
  EXPECT_EQ(bundle(bob).text({"unsigned", "m.relations", "m.thread", "current_user_participated"}),
            "true");
  EXPECT_EQ(bundle(bob).text({"unsigned", "m.relations", "m.thread", "latest_event", "event_id"}),
            answer);
  call("PUT", rooms(room, "/redact/" + answer + "/99"), bob, "{}");
  EXPECT_EQ(bundle(bob).text({"unsigned", "m.relations", "m.thread", "latest_event", "event_id"}),
            last);
  // Only the sender's own edits count, and only whole ones.
  relate(bob, "m.replace", R"(,"m.new_content":{"body":"forged"})");
  relate(alice, "m.replace", "");
  EXPECT_EQ(bundle(bob).text({"unsigned", "m.relations", "m.replace"}), "");
  const std::string edit = relate(alice, "m.replace", R"(,"m.new_content":{"body":"better"})");
  EXPECT_EQ(bundle(bob).text({"unsigned", "m.relations", "m.replace", "event_id"}), edit);
  call("PUT", rooms(room, "/redact/" + root + "/100"), alice, "{}");
  EXPECT_EQ(bundle(bob).text({"unsigned", "m.relations", "m.replace"}), "");
  EXPECT_EQ(bundle(bob).text({"unsigned", "m.relations", "m.thread", "count"}), "2");
}

TEST_F(HistoryTest, RelationsArePagedFromWhatWasSynced) {
  const std::string alice = join_token("alice");
  const std::string room = create_room(alice);
  const std::string root = say(alice, room, "root", "1").text({"event_id"});
  const auto reply = [&](const std::string& text) {
    call("PUT", rooms(room, "/send/m.room.message/" + text), alice,
         R"({"body":")" + text + R"(","m.relates_to":{"rel_type":"m.thread","event_id":")" + root +
             "\"}}");
  };
  reply("a");
  reply("b");
  const std::string since = sync(alice).text({"next_batch"});
  reply("c");
  reply("d");
  const auto page = [&](const std::string& query) {
    const Answer answer =
        call("GET", "/_matrix/client/v1/rooms/" + room + "/relations/" + root + "?limit=1" + query,
             alice);
    std::string text;
    for (const json::Value& event : *answer.body.as_object()->find_array("chunk"))
      text += *json::at(*event.as_object(), {"content", "body"})->as_string();
    return std::pair(text, answer.text({"next_batch"}));
  };
  const auto forth = page("&dir=f&from=" + since);
  EXPECT_EQ(forth.first, "c");
  EXPECT_EQ(page("&dir=f&from=" + forth.second).first, "d");
  const auto back = page("&dir=b&from=" + since);
  EXPECT_EQ(back.first, "b");
  EXPECT_EQ(page("&dir=b&from=" + back.second).first, "a");
}

}  // namespace
}  // namespace polder::server
