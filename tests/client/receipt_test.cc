// Receipts, read markers and typing, as others come to know them.
#include "homeserver/server/testing/homeserver.h"

namespace polder::server {
namespace {

class ReceiptTest : public TwoInARoomTest {};

TEST_F(ReceiptTest, ReceiptsReachTheRoomAndPrivateOnesTheirOwner) {
  const std::string event = say(alice_, room_, "hello", "1").text({"event_id"});
  const std::string since = next(sync(alice_));
  const std::string bob_since = next(sync(bob_));
  const auto ephemeral = [&](const Answer& answer) {
    return answer.text({"rooms", "join", room_, "ephemeral", "events"});
  };
  EXPECT_EQ(call("POST", rooms(room_, "/receipt/m.read.private/" + event), bob_, "{}").status, 200);
  EXPECT_EQ(ephemeral(sync(alice_, since)), "");
  EXPECT_NE(ephemeral(sync(bob_, bob_since)).find("m.read.private"), std::string::npos);
  EXPECT_EQ(call("POST", rooms(room_, "/receipt/m.read/" + event), bob_, R"({"thread_id":"main"})")
                .status,
            200);
  const Answer told = sync(alice_, since);
  EXPECT_NE(ephemeral(told).find(R"("thread_id":"main")"), std::string::npos);
  EXPECT_EQ(ephemeral(sync(alice_, next(told))), "");
  crash();
  EXPECT_NE(ephemeral(sync(alice_)).find(event), std::string::npos);
  const std::string other = create_room(alice_);
  struct Refused {
    std::string token, path, body;
    int status;
  };
  for (const Refused& c : std::vector<Refused>{
           {bob_, rooms(other, "/receipt/m.read/" + event), "{}", 403},
           {alice_, rooms(other, "/receipt/m.read/" + event), "{}", 404},
           {alice_, rooms(room_, "/receipt/m.other/" + event), "{}", 400},
           {alice_, rooms(room_, "/receipt/m.read/" + event), R"({"thread_id":""})", 400},
           {alice_, rooms(room_, "/receipt/m.read/" + event), R"({"thread_id":1})", 400},
       }) {
    EXPECT_EQ(call("POST", c.path, c.token, c.body).status, c.status) << c.path << c.body;
  }
}

// Receipts of several threads on one event stand side by side.
TEST_F(ReceiptTest, ReceiptsComeByThread) {
  const std::string event = say(alice_, room_, "read me", "1").text({"event_id"});
  call("PUT", rooms(room_, "/send/m.room.message/2"), alice_,
       R"({"body":"in the thread","m.relates_to":{"rel_type":"m.thread","event_id":")" + event +
           R"("}})");
  const std::string since = next(sync(alice_));
  for (const std::string& body : {std::string("{}"), std::string(R"({"thread_id":"main"})"),
                                  R"({"thread_id":")" + event + R"("})"})
    EXPECT_EQ(call("POST", rooms(room_, "/receipt/m.read/" + event), bob_, body).status, 200);
  for (const Answer& answer : {sync(alice_, since), sync(alice_)}) {
    const json::Value* events =
        json::at(*answer.body.as_object(), {"rooms", "join", room_, "ephemeral", "events"});
    std::vector<std::string> threads;
    for (const json::Value& told : *events->as_array()) {
      const json::Value* thread =
          json::at(*told.as_object(), {"content", event, "m.read", "@bob:own", "thread_id"});
      threads.push_back(thread != nullptr ? *thread->as_string() : "");
    }
    EXPECT_EQ(threads, (std::vector<std::string>{"", event, "main"}));
  }
}

TEST_F(ReceiptTest, ReadMarkersSetTheFullyReadEvent) {
  const std::string event = say(alice_, room_, "hello", "1").text({"event_id"});
  const std::string since = next(sync(bob_));
  EXPECT_EQ(call("POST", rooms(room_, "/read_markers"), bob_,
                 R"({"m.fully_read":")" + event + R"(","m.read":")" + event + R"("})")
                .status,
            200);
  const Answer told = sync(bob_, since);
  EXPECT_NE(told.text({"rooms", "join", room_, "account_data", "events"}).find(event),
            std::string::npos);
  EXPECT_NE(told.text({"rooms", "join", room_, "ephemeral", "events"}).find("m.read"),
            std::string::npos);
}

TEST_F(ReceiptTest, TypingIsToldAndEndsByItself) {
  const std::string since = next(sync(alice_));
  const auto typing = [&](const Answer& answer) {
    return answer.text({"rooms", "join", room_, "ephemeral", "events"});
  };
  const std::string path = rooms(room_, "/typing/@bob:own");
  EXPECT_EQ(call("PUT", path, bob_, R"({"typing":true,"timeout":20000})").status, 200);
  const Answer told = sync(alice_, since);
  EXPECT_NE(typing(told).find("@bob:own"), std::string::npos);
  const auto waiting =
      begin("GET", "/_matrix/client/v3/sync?timeout=60000&since=" + next(told), alice_, "");
  simulation_->run_for(Millis(10'000));
  EXPECT_FALSE(waiting->has_value());
  simulation_->run_for(Millis(15'000));
  ASSERT_TRUE(waiting->has_value());
  EXPECT_NE(typing(**waiting).find(R"("user_ids":[])"), std::string::npos);
  EXPECT_EQ(call("PUT", path, alice_, R"({"typing":true})").status, 403);
  EXPECT_EQ(call("PUT", path, bob_, "{}").status, 400);
}

TEST_F(ReceiptTest, WhoIsNoLongerInTheRoomDoesNotTypeThere) {
  const auto typing = [&](const Answer& answer) {
    return answer.text({"rooms", "join", room_, "ephemeral", "events"});
  };
  for (const char* end : {"/leave", "/ban"}) {
    call("POST", rooms(room_, "/join"), bob_, "{}");
    call("PUT", rooms(room_, "/typing/@bob:own"), bob_, R"({"typing":true,"timeout":60000})");
    const Answer told = sync(alice_);
    EXPECT_NE(typing(told).find("@bob:own"), std::string::npos) << end;
    const bool leaves = std::string_view(end) == "/leave";
    EXPECT_EQ(call("POST", rooms(room_, end), leaves ? bob_ : alice_,
                   leaves ? "{}" : R"({"user_id":"@bob:own"})")
                  .status,
              200);
    EXPECT_NE(typing(sync(alice_, next(told))).find(R"("user_ids":[])"), std::string::npos) << end;
    EXPECT_EQ(typing(sync(alice_)).find("@bob:own"), std::string::npos) << end;
  }
}

}  // namespace
}  // namespace polder::server
