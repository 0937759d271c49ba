// Receipts and read markers, as clients set them.
// https://spec.matrix.org/v1.19/client-server-api/#receipts
#include "storage/stores/rooms/receipt_rows.h"
#include "homeserver/rooms/engine/engine.h"
#include "homeserver/server/testing/homeserver.h"
#include "homeserver/users/data/receipts.h"

namespace polder::server {
namespace {

class ReceiptsTest : public TwoInARoomTest {
 protected:
  std::string say_in_room(const std::string& text) {
    return say(alice_, room_, text, std::to_string(++said_)).text({"event_id"});
  }
  std::string relate(const std::string& rel_type, const std::string& to) {
    return call("PUT", rooms(room_, "/send/m.room.message/" + std::to_string(++said_)), alice_,
                R"({"body":"x","m.relates_to":{"rel_type":")" + rel_type + R"(","event_id":")" +
                    to + R"("}})")
        .text({"event_id"});
  }
  Answer receipt(const std::string& event, const std::string& thread = "") {
    return call("POST", rooms(room_, "/receipt/m.read/" + event), bob_,
                thread.empty() ? "{}" : R"({"thread_id":")" + thread + "\"}");
  }
  std::string next(const std::string& token) { return sync(token).text({"next_batch"}); }
  // What alice is told of the room since a token.
  std::string told(const std::string& since) {
    return sync(alice_, since).text({"rooms", "join", room_, "ephemeral", "events"});
  }
  int said_ = 0;
};

// "M_INVALID_PARAM: The event_id is not related to the thread_id."
TEST_F(ReceiptsTest, AReceiptIsOfAThreadThatItsEventIsIn) {
  const std::string root = say_in_room("root");
  const std::string other = say_in_room("no root");
  const std::string reply = relate("m.thread", root);
  const std::string reaction = relate("m.annotation", root);
  struct Case {
    std::string event, thread;
    int status;
  };
  const std::string since = next(alice_);
  for (const Case& c : std::vector<Case>{{reply, "main", 400},
                                         {reply, other, 400},
                                         {other, root, 400},
                                         {other, other, 400},
                                         {other, "elsewhere", 400},
                                         {other, std::string(60'000, 'x'), 400},
                                         {other, "$" + std::string(60'000, 'x'), 400}}) {
    const Answer answer = receipt(c.event, c.thread);
    EXPECT_EQ(answer.status, c.status) << c.event << c.thread;
    EXPECT_EQ(answer.text({"errcode"}), "M_INVALID_PARAM") << c.event << c.thread;
  }
  EXPECT_EQ(told(since), "");
  for (const Case& c : std::vector<Case>{{root, root, 200},
                                         {reply, root, 200},
                                         {reaction, root, 200},
                                         {root, "main", 200},
                                         {other, "main", 200},
                                         {reaction, "main", 200}}) {
    EXPECT_EQ(receipt(c.event, c.thread).status, c.status) << c.event << c.thread;
    EXPECT_NE(told(since).find(c.event), std::string::npos) << c.event << c.thread;
  }
}

TEST_F(ReceiptsTest, OfSeveralMarkersNoneMovesIfOneIsWrong) {
  const std::string event = say_in_room("hello");
  const std::string since = next(bob_);
  EXPECT_EQ(call("POST", rooms(room_, "/read_markers"), bob_,
                 R"({"m.fully_read":")" + event + R"(","m.read":"$elsewhere"})")
                .status,
            404);
  EXPECT_EQ(sync(bob_, since).text({"rooms", "join", room_}), "");
}

// A client that is behind tells of what it shows: nothing that was read is unread again. Threads,
// and what is of no thread, are read each by itself.
TEST_F(ReceiptsTest, ReceiptsNeverGoBack) {
  const std::string older = say_in_room("older");
  const std::string newer = say_in_room("newer");
  for (const char* type : {"m.read", "m.read.private"}) {
    for (const char* body : {"{}", R"({"thread_id":"main"})"}) {
      const auto post = [&](const std::string& event) {
        const std::string since = next(bob_);
        EXPECT_EQ(
            call("POST", rooms(room_, std::string("/receipt/") + type + "/" + event), bob_, body)
                .status,
            200);
        return sync(bob_, since).text({"rooms", "join", room_, "ephemeral", "events"});
      };
      EXPECT_NE(post(newer).find(newer), std::string::npos) << type << body;
      EXPECT_EQ(post(older), "") << type << body;
      EXPECT_EQ(post(newer), "") << type << body;
    }
  }
  const std::string newest = say_in_room("newest");
  EXPECT_EQ(receipt(newest).status, 200);
  EXPECT_NE(told("").find(newest), std::string::npos);
}

TEST_F(ReceiptsTest, ReadMarkersNeverGoBack) {
  const std::vector<std::string> events = {say_in_room("older"), say_in_room("newer"),
                                           say_in_room("newest")};
  const std::string path =
      "/_matrix/client/v3/user/@bob:own/rooms/" + room_ + "/account_data/m.fully_read";
  struct Case {
    size_t marked, found;
  };
  for (const Case& c : std::vector<Case>{{1, 1}, {0, 1}, {1, 1}, {2, 2}, {1, 2}}) {
    EXPECT_EQ(call("POST", rooms(room_, "/read_markers"), bob_,
                   R"({"m.fully_read":")" + events[c.marked] + "\"}")
                  .status,
              200);
    EXPECT_EQ(call("GET", path, bob_).text({"event_id"}), events[c.found]) << c.marked;
  }
  EXPECT_EQ(call("POST", rooms(room_, "/receipt/m.fully_read/" + events[0]), bob_, "{}").status,
            200);
  EXPECT_EQ(call("GET", path, bob_).text({"event_id"}), events[2]);
}

TEST_F(ReceiptsTest, ReceiptsOfOneUserAtOnceLeaveOneRow) {
  const std::vector<std::string> events = {say_in_room("one"), say_in_room("two")};
  std::vector<std::shared_ptr<std::optional<Answer>>> answers;
  for (size_t i = 0; i < 8; ++i) {
    answers.push_back(
        begin("POST", rooms(room_, "/receipt/m.read/" + events[i % events.size()]), bob_, "{}"));
  }
  simulation_->run_for(Millis(2000));
  for (const auto& answer : answers) {
    ASSERT_TRUE(answer->has_value());
    EXPECT_EQ((*answer)->status, 200);
  }
  // Of a receipt that was replaced nothing is left.
  const auto number = homeserver_->rooms().source().find(RoomId::trusted(room_));
  ASSERT_TRUE(number.ok());
  const auto rows = stores::read_receipts_between(*database_->snapshot(), number->value(), 0,
                                                  homeserver_->committer().visible(), 100);
  ASSERT_TRUE(rows.ok());
  EXPECT_EQ(rows->size(), 1u);
}

// Threads cost nothing to name: a user's receipts in a room are bounded.
TEST_F(ReceiptsTest, TheOldestReceiptsOfAUserGoWhenThereAreTooMany) {
  auto names = stores::Names::open(*database_);
  ASSERT_TRUE(names.ok());
  users::Receipts receipts(
      {*runtime_, *database_, homeserver_->committer(), **names, ServerName::trusted("own")});
  const auto set = [&](std::string thread) {
    auto done = std::make_shared<std::optional<Result<bool>>>();
    const auto task = [](users::Receipts& table, std::string in,
                         std::shared_ptr<std::optional<Result<bool>>> result) -> Task<void> {
      *result = co_await table.set(7, 7, {"m.read", std::move(in), EventId::trusted("$e"), 1});
    };
    runtime::spawn(*runtime_, runtime_->shard(0), "test", task(receipts, std::move(thread), done));
    EXPECT_TRUE(simulation_->run_until([&] { return done->has_value(); }, Millis(10'000)));
    return (*done)->ok();
  };
  EXPECT_TRUE(set(""));
  EXPECT_TRUE(set("main"));
  for (size_t i = 0; i < users::kThreadsReadByOthersMax + 3; ++i)
    EXPECT_TRUE(set("$" + std::to_string(i)));
  EXPECT_FALSE(set(std::string(users::kThreadIdBytesMax + 1, 'x')));
  const auto rows = stores::read_receipts_of(*database_->snapshot(), 7, 7);
  ASSERT_TRUE(rows.ok());
  EXPECT_EQ(rows->size(), users::kThreadsReadByOthersMax + 2);
  const auto has = [&](std::string_view thread) {
    return std::ranges::any_of(*rows, [&](const auto& row) { return row.thread == thread; });
  };
  EXPECT_FALSE(has("$2"));
  EXPECT_TRUE(has("$3"));
  EXPECT_TRUE(has(""));
  EXPECT_TRUE(has("main"));
}

}  // namespace
}  // namespace polder::server
