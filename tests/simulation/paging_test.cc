// Paging back through a room whose past is on another server.
#include <gtest/gtest.h>

#include "tests/simulation/world.h"

namespace polder::simulation {
namespace {

class PagingTest : public testing::Test {
 protected:
  Answer ask(size_t server, std::string method, std::string target, const std::string& token = "",
             std::string body = "{}") {
    std::optional<Answer> answer;
    world_.call(server, {std::move(method), std::move(target), token, std::move(body)},
                [&](const Answer& given) { answer = given; });
    EXPECT_TRUE(world_.run_until([&] { return answer.has_value(); }, Millis(120'000)));
    return *answer;
  }
  std::string join_token(size_t server, const std::string& name = "user") {
    return ask(server, "POST", "/_matrix/client/v3/register", "",
               R"({"username":")" + name + R"(","password":"pw","auth":{"type":"m.login.dummy"}})")
        .text({"access_token"});
  }
  std::string say(const std::string& text, const std::string& more = "") {
    return ask(0, "PUT", rooms(room_, "/send/m.room.message/" + text), first_,
               R"({"body":")" + text + "\"" + more + "}")
        .text({"event_id"});
  }
  int join(size_t server, const std::string& token) {
    return ask(server, "POST",
               "/_matrix/client/v3/join/" + room_ + "?server_name=" + world_.name(0), token)
        .status;
  }
  static std::string rooms(const std::string& room, const std::string& rest) {
    return "/_matrix/client/v3/rooms/" + room + rest;
  }
  // A room of the first server's user with so many messages; the second's user is in it.
  void make_room(int messages) {
    first_ = join_token(0);
    second_ = join_token(1);
    room_ = ask(0, "POST", "/_matrix/client/v3/createRoom", first_, R"({"preset":"public_chat"})")
                .text({"room_id"});
    for (int i = 0; i < messages; ++i)
      ask(0, "PUT", rooms(room_, "/send/m.room.message/" + std::to_string(i)), first_,
          R"({"body":"b"})");
    EXPECT_EQ(join(1, second_), 200);
  }
  // How many messages all pages together have, and how many pages there were.
  std::pair<int, int> page_back(int limit) {
    int found = 0, pages = 0;
    std::string from;
    do {
      const Answer page = ask(
          1, "GET", rooms(room_, "/messages?dir=b&limit=" + std::to_string(limit) + from), second_);
      EXPECT_EQ(page.status, 200);
      for (const json::Value& event : *page.body.as_object()->find_array("chunk"))
        found += *event.as_object()->find_string("type") == "m.room.message" ? 1 : 0;
      from = page.text({"end"});
      if (!from.empty()) from.insert(0, "&from=");
    } while (!from.empty() && ++pages < 100);
    return {found, pages};
  }

  World world_{1, 2};
  std::string first_, second_, room_;
};

TEST_F(PagingTest, GoesOnUntilTheRoomsBeginning) {
  make_room(230);
  // More than another server gives at once.
  EXPECT_EQ(page_back(500).first, 230);
}

TEST_F(PagingTest, EndsWhereNobodyHasWhatIsMissing) {
  make_room(150);
  world_.network().cut(world_.name(0), world_.name(1));
  const auto [found, pages] = page_back(20);
  EXPECT_LT(found, 150);
  EXPECT_LT(pages, 100);
  world_.network().mend_all();
  world_.run_for(Millis(60'000));
  EXPECT_EQ(page_back(20).first, 150);
}

// https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1timestamp_to_eventroomid
TEST_F(PagingTest, ATimeLeadsToWhatOnlyAnotherServerHas) {
  make_room(150);
  const Answer oldest = ask(0, "GET", rooms(room_, "/messages?dir=f&limit=60"), first_);
  const json::Object& wanted = *(*oldest.body.as_object()->find_array("chunk"))[50].as_object();
  const std::string time = std::to_string(*wanted.find_int("origin_server_ts"));
  const auto jump = [&](const std::string& direction) {
    return ask(1, "GET",
               "/_matrix/client/v1/rooms/" + room_ + "/timestamp_to_event?ts=" + time +
                   "&dir=" + direction,
               second_);
  };
  world_.network().cut(world_.name(0), world_.name(1));
  EXPECT_NE(jump("f").text({"origin_server_ts"}), time);
  world_.network().mend_all();
  world_.run_for(Millis(60'000));
  for (const char* direction : {"b", "f"}) {
    const Answer found = jump(direction);
    EXPECT_EQ(found.text({"origin_server_ts"}), time) << direction;
    const std::string event = "/event/" + found.text({"event_id"});
    EXPECT_EQ(ask(1, "GET", rooms(room_, event), second_).status, 200);
  }
}

TEST_F(PagingTest, ThreadsAreInTheirOrderWhateverCameFirst) {
  first_ = join_token(0);
  second_ = join_token(1);
  room_ = ask(0, "POST", "/_matrix/client/v3/createRoom", first_, R"({"preset":"public_chat"})")
              .text({"room_id"});
  const auto in_thread = [](const std::string& root) {
    return R"(,"m.relates_to":{"rel_type":"m.thread","event_id":")" + root + "\"}";
  };
  const std::string early = say("early");
  const std::string late = say("late");
  say("reply1", in_thread(early));
  for (int i = 0; i < 150; ++i)
    say(std::to_string(i));
  say("reply2", in_thread(late));
  EXPECT_EQ(join(1, second_), 200);
  page_back(20);
  const Answer threads = ask(1, "GET", "/_matrix/client/v1/rooms/" + room_ + "/threads", second_);
  const json::Array& roots = *threads.body.as_object()->find_array("chunk");
  ASSERT_EQ(roots.size(), 2u);
  EXPECT_EQ(*roots[0].as_object()->find_string("event_id"), late);
  EXPECT_EQ(*roots[1].as_object()->find_string("event_id"), early);
}

// "Any users (or servers) which join the room after the erasure request are served redacted copies
// of the events sent by this account."
TEST_F(PagingTest, AServerThatComesAfterAnErasureGetsRedactedCopies) {
  first_ = join_token(0);
  second_ = join_token(1);
  const std::string stays = join_token(0, "stays");
  room_ = ask(0, "POST", "/_matrix/client/v3/createRoom", first_, R"({"preset":"public_chat"})")
              .text({"room_id"});
  EXPECT_EQ(join(0, stays), 200);
  for (int i = 0; i < 5; ++i)
    say("secret" + std::to_string(i));
  EXPECT_EQ(
      ask(0, "POST", "/_matrix/client/v3/account/deactivate", first_,
          R"({"erase":true,"auth":{"type":"m.login.password","user":"user","password":"pw"}})")
          .status,
      200);
  EXPECT_EQ(join(1, second_), 200);
  EXPECT_EQ(page_back(20).first, 5);
  const Answer page = ask(1, "GET", rooms(room_, "/messages?dir=b&limit=100"), second_);
  EXPECT_EQ(page.text({"chunk"}).find("secret"), std::string::npos);
  const Answer known = ask(0, "GET", rooms(room_, "/messages?dir=b&limit=100"), stays);
  EXPECT_NE(known.text({"chunk"}).find("secret"), std::string::npos);
}

}  // namespace
}  // namespace polder::simulation
