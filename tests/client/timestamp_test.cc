// The event closest to a time.
#include "homeserver/server/testing/homeserver.h"

namespace polder::server {
namespace {

class TimestampTest : public HomeserverTest {
 protected:
  static std::string v1(const std::string& room, const std::string& rest) {
    return "/_matrix/client/v1/rooms/" + room + rest;
  }
  Answer at_time(const std::string& token, const std::string& room, const std::string& time,
                 const std::string& direction) {
    return call("GET", v1(room, "/timestamp_to_event?ts=" + time + "&dir=" + direction), token);
  }
  std::string redact(const std::string& token, const std::string& room, const std::string& event) {
    return call("PUT", rooms(room, "/redact/" + event + "/" + std::to_string(++transactions_)),
                token, "{}")
        .text({"event_id"});
  }

  int transactions_ = 1000;
};

TEST_F(TimestampTest, TheClosestEventIsFoundInEachDirection) {
  const std::string alice = join_token("alice");
  const std::string room = create_room(alice);
  std::vector<std::string> ids, times;
  for (int i = 0; i < 3; ++i) {
    simulation_->run_for(Millis(1000));
    ids.push_back(say(alice, room, "x", std::to_string(i)).text({"event_id"}));
    times.push_back(
        call("GET", rooms(room, "/event/" + ids.back()), alice).text({"origin_server_ts"}));
  }
  const auto id = [&](const std::string& time, const std::string& direction) {
    return at_time(alice, room, time, direction).text({"event_id"});
  };
  const auto shifted = [&](size_t i, int64_t by) {
    return std::to_string(std::stoll(times[i]) + by);
  };
  EXPECT_EQ(id(times[1], "f"), ids[1]);
  EXPECT_EQ(id(times[1], "b"), ids[1]);
  EXPECT_EQ(id(shifted(1, -1), "f"), ids[1]);
  EXPECT_EQ(id(shifted(1, -1), "b"), ids[0]);
  EXPECT_EQ(id(shifted(2, 500'000), "b"), ids[2]);
  EXPECT_EQ(at_time(alice, room, times[1], "f").text({"origin_server_ts"}), times[1]);
  EXPECT_EQ(at_time(alice, room, shifted(2, 500'000), "f").text({"errcode"}), "M_NOT_FOUND");
  EXPECT_EQ(at_time(alice, room, "0", "b").status, 404);
  EXPECT_EQ(at_time(alice, room, "-5", "b").status, 404);
  EXPECT_EQ(at_time(alice, room, "9223372036854775807", "b").text({"event_id"}), ids[2]);
  EXPECT_EQ(at_time(alice, room, "0", "f").status, 200);
  EXPECT_EQ(call("GET", v1(room, "/timestamp_to_event?ts=1"), alice).text({"errcode"}),
            "M_MISSING_PARAM");
  EXPECT_EQ(call("GET", v1(room, "/timestamp_to_event?dir=f"), alice).text({"errcode"}),
            "M_MISSING_PARAM");
  EXPECT_EQ(at_time(alice, room, "1.5", "f").text({"errcode"}), "M_INVALID_PARAM");
  EXPECT_EQ(at_time(alice, room, "1", "x").text({"errcode"}), "M_INVALID_PARAM");
}

TEST_F(TimestampTest, TimesLeadOnlyToWhatTheReaderMaySee) {
  const std::string alice = join_token("alice");
  const std::string bob = join_token("bob");
  const std::string room = create_room(
      alice,
      R"({"preset":"public_chat","initial_state":[{"type":"m.room.history_visibility","content":{"history_visibility":"joined"}}]})");
  simulation_->run_for(Millis(10));
  const std::string first_said = say(alice, room, "before", "first").text({"event_id"});
  const std::string time =
      call("GET", rooms(room, "/event/" + first_said), alice).text({"origin_server_ts"});
  for (int i = 0; i < 120; ++i)
    say(alice, room, "before", std::to_string(i));
  EXPECT_EQ(at_time(bob, room, "0", "f").status, 403);
  simulation_->run_for(Millis(10));
  call("POST", rooms(room, "/join"), bob);
  const std::string first = at_time(bob, room, time, "f").text({"event_id"});
  EXPECT_EQ(call("GET", rooms(room, "/event/" + first), bob).text({"content", "membership"}),
            "join");
  const std::string said = say(alice, room, "after", "x").text({"event_id"});
  call("POST", rooms(room, "/leave"), bob);
  simulation_->run_for(Millis(10));
  say(alice, room, "later", "y");
  const std::string last = at_time(bob, room, "9000000000000", "b").text({"event_id"});
  EXPECT_EQ(call("GET", rooms(room, "/event/" + last), bob).text({"content", "membership"}),
            "leave");
  EXPECT_NE(said, "");
}

}  // namespace
}  // namespace polder::server
