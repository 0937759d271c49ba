// /sync as clients use it: tokens, and waiting.
// https://spec.matrix.org/v1.19/client-server-api/#syncing
#include "homeserver/server/testing/homeserver.h"

namespace polder::server {
namespace {

Task<void> poll_until(const http::Router& router, std::string token, std::string since,
                      std::shared_ptr<bool> gone, std::shared_ptr<std::optional<Answer>> result) {
  ClientCall call{"GET", "/_matrix/client/v3/sync?timeout=60000&since=" + since, token};
  call.ended = [gone] { return *gone; };
  *result = co_await ask(router, std::move(call));
}

class SyncTest : public TwoInARoomTest {
 protected:
  using Pending = std::shared_ptr<std::optional<Answer>>;

  std::string next(const std::string& token) { return sync(token).text({"next_batch"}); }
  // A request that waits for what comes after now, or after a token.
  Pending wait(const std::string& token, const std::string& filter = "{}",
               const std::string& since = "") {
    const auto pending = begin(
        "GET",
        "/_matrix/client/v3/sync?timeout=30000&since=" + (since.empty() ? next(token) : since) +
            "&filter=" + base::percent_encode(filter),
        token, "");
    simulation_->run_for(Millis(500));
    EXPECT_FALSE(pending->has_value()) << "it does not wait";
    return pending;
  }
  bool answered(const Pending& pending, Millis within = Millis(500)) {
    simulation_->run_for(within);
    return pending->has_value();
  }
};

TEST_F(SyncTest, SinceIsATokenOfSync) {
  const std::string here = next(alice_);
  for (const std::string& since :
       {std::string("garbage"), std::string("s1"), std::string("s1_"), std::string("s1_x"),
        std::string("1_2"), std::string("t1_5_5"), std::string("s1_5_"), std::string("s1_-5"),
        std::string("s1_99999999999999999999999"), here + "x", "x" + here}) {
    const Answer answer =
        call("GET", "/_matrix/client/v3/sync?since=" + base::percent_encode(since), alice_);
    EXPECT_EQ(answer.status, 400) << since;
    EXPECT_EQ(answer.text({"errcode"}), "M_INVALID_PARAM") << since;
  }
  // Of other versions, and of a database that had got farther: from the beginning.
  for (const std::string since : {"s2_5", "s1_5_5_5_5", "s1_18446744073709551615", "s17_1_2_3"}) {
    const Answer answer = call("GET", "/_matrix/client/v3/sync?since=" + since, alice_);
    EXPECT_EQ(answer.status, 200) << since;
    EXPECT_NE(answer.text({"rooms", "join", room_}), "") << since;
  }
  // Of a boot before, or the place of an event.
  crash();
  for (const std::string& since : {here, here.substr(0, here.find('_', 3))}) {
    const Answer answer = call("GET", "/_matrix/client/v3/sync?since=" + since, alice_);
    EXPECT_EQ(answer.status, 200) << since;
    EXPECT_EQ(answer.text({"rooms", "join", room_}), "") << since;
  }
}

// What concerns the reader wakes, whatever wrote it.
TEST_F(SyncTest, AWaitingRequestIsWokenByWhatConcernsItsUser) {
  const std::string event = say(alice_, room_, "before", "0").text({"event_id"});
  const std::string device =
      call("GET", "/_matrix/client/v3/account/whoami", bob_).text({"device_id"});
  const std::string base = "/_matrix/client/v3/";
  struct Case {
    std::string what;
    std::string method, path, token, body;
  };
  for (const Case& c : std::vector<Case>{
           {"a message", "PUT", rooms(room_, "/send/m.room.message/1"), alice_, R"({"body":"x"})"},
           {"a receipt", "POST", rooms(room_, "/receipt/m.read/" + event), alice_, "{}"},
           {"an own private receipt", "POST", rooms(room_, "/receipt/m.read.private/" + event),
            bob_, "{}"},
           {"the marker of what is read", "POST", rooms(room_, "/read_markers"), bob_,
            R"({"m.fully_read":")" + event + R"("})"},
           {"typing", "PUT", rooms(room_, "/typing/@alice:own"), alice_, R"({"typing":true})"},
           {"account data", "PUT", base + "user/@bob:own/account_data/x", bob_, "{}"},
           {"account data of a room", "PUT",
            base + "user/@bob:own/rooms/" + room_ + "/account_data/x", bob_, R"({"a":1})"},
           {"a push rule", "PUT", base + "pushrules/global/override/.m.rule.master/enabled", bob_,
            R"({"enabled":true})"},
           {"a message to the device", "PUT", base + "sendToDevice/x/1", alice_,
            R"({"messages":{"@bob:own":{"*":{}}}})"},
           {"devices of who shares a room", "PUT", base + "devices/" + device, bob_,
            R"({"display_name":"phone"})"},
           {"an invite", "POST", base + "createRoom", alice_, R"({"invite":["@bob:own"]})"},
       }) {
    const Pending pending = wait(bob_);
    ASSERT_EQ(call(c.method, c.path, c.token, c.body).status, 200) << c.what;
    EXPECT_TRUE(answered(pending)) << c.what;
    EXPECT_EQ((*pending)->status, 200) << c.what;
  }
}

// A request that waits is not looked at for what others write, nor for what its filter hides, and
// it tells of it later if it must.
TEST_F(SyncTest, AWaitingRequestSleepsOnWhenNothingConcernsIt) {
  const std::string event = say(alice_, room_, "before", "0").text({"event_id"});
  const std::string other = create_room(alice_);
  const Pending all = wait(bob_);
  const std::string no_messages =
      R"({"room":{"timeline":{"not_types":["m.room.message"]},"ephemeral":{"not_types":["*"]}}})";
  say(alice_, other, "elsewhere", "1");
  call("POST", rooms(room_, "/receipt/m.read.private/" + event), alice_, "{}");
  call("PUT", "/_matrix/client/v3/user/@alice:own/account_data/x", alice_, "{}");
  EXPECT_FALSE(answered(all));
  const Pending filtered = wait(bob_, no_messages);
  call("PUT", "/_matrix/client/v3/user/@bob:own/account_data/m.ignored_user_list", bob_,
       R"({"ignored_users":{"@alice:own":{}}})");
  EXPECT_TRUE(answered(filtered)) << "account data is not hidden";
  const Pending hidden = wait(bob_, no_messages);
  const Pending ignoring = wait(bob_);
  say(alice_, room_, "hidden", "2");
  call("PUT", rooms(room_, "/typing/@alice:own"), alice_, R"({"typing":true,"timeout":5000})");
  EXPECT_FALSE(answered(hidden));
  EXPECT_TRUE(answered(ignoring)) << "typing";
  const Pending again = wait(bob_, "{}", (*ignoring)->text({"next_batch"}));
  say(alice_, room_, "ignored", "3");
  EXPECT_FALSE(answered(again, Millis(1000)));
  EXPECT_FALSE(hidden->has_value());
  EXPECT_EQ(call("PUT", rooms(room_, "/state/m.room.topic"), alice_, R"({"topic":"new"})").status,
            200);
  EXPECT_TRUE(answered(hidden));
  EXPECT_EQ(json::at(*(*hidden)->body.as_object(), {"rooms", "join", room_, "timeline", "events"})
                ->as_array()
                ->size(),
            1u);
  EXPECT_TRUE(answered(again));
  EXPECT_EQ(bodies(**again, room_), "");
}

TEST_F(SyncTest, NobodyIsWaitedForOnceTheClientHasGone) {
  const auto gone = std::make_shared<bool>(false);
  const auto poll = [&] {
    const std::string since = sync(bob_).text({"next_batch"});
    const auto result = std::make_shared<std::optional<Answer>>();
    runtime::spawn(*runtime_, runtime_->shard(0), "request",
                   poll_until(homeserver_->router(), bob_, since, gone, result));
    return result;
  };
  const Pending there = poll();
  EXPECT_FALSE(answered(there, Millis(25'000)));
  *gone = true;
  EXPECT_TRUE(answered(there, Millis(11'000)));
}

TEST_F(SyncTest, WhatIsHiddenDoesNotDelayTheTimeout) {
  const Pending pending = wait(bob_, R"({"room":{"timeline":{"types":[]}}})");
  for (int i = 0; i < 5; ++i)
    say(alice_, room_, "hidden", std::to_string(i));
  EXPECT_FALSE(answered(pending, Millis(20'000)));
  ASSERT_TRUE(answered(pending, Millis(10'000)));
  EXPECT_EQ((*pending)->status, 200);
  EXPECT_EQ((*pending)->text({"rooms", "join", room_}), "");
  say(alice_, room_, "shown", "last");
  EXPECT_EQ(bodies(sync(bob_, (*pending)->text({"next_batch"})), room_), "shown;");
}

// https://spec.matrix.org/v1.19/client-server-api/#using-access-tokens
TEST_F(SyncTest, AWaitingRequestEndsWithItsSession) {
  const std::string base = "/_matrix/client/v3/";
  struct Case {
    std::string path, body;
    bool by_other_device;
  };
  for (const Case& c : std::vector<Case>{
           {"logout", "{}", false},
           {"logout/all", "{}", false},
           {"logout/all", "{}", true},
           {"account/password",
            R"({"new_password":"pw","auth":{"type":"m.login.password","password":"pw",)"
            R"("identifier":{"type":"m.id.user","user":"bob"}}})",
            true}}) {
    const auto log_in = [&] {
      return call("POST", base + "login", "",
                  R"({"type":"m.login.password","password":"pw",)"
                  R"("identifier":{"type":"m.id.user","user":"bob"}})")
          .text({"access_token"});
    };
    const std::string token = log_in();
    const std::string other = log_in();
    const Pending pending = wait(token);
    EXPECT_EQ(call("POST", base + c.path, c.by_other_device ? other : token, c.body).status, 200)
        << c.path;
    ASSERT_TRUE(answered(pending)) << c.path;
    EXPECT_EQ((*pending)->status, 401) << c.path;
    EXPECT_EQ((*pending)->text({"errcode"}), "M_UNKNOWN_TOKEN") << c.path;
  }
}

// https://spec.matrix.org/v1.19/client-server-api/#lazy-loading-room-members
TEST_F(SyncTest, ALazilyLoadedMemberIsToldOnce) {
  const std::string lazy = R"({"room":{"state":{"lazy_load_members":true}}})";
  const std::string redundant =
      R"({"room":{"state":{"lazy_load_members":true,"include_redundant_members":true}}})";
  // Bob is no sender at first.
  for (int i = 0; i < 11; ++i)
    say(alice_, room_, "hello", "a" + std::to_string(i));
  const auto has_member = [&](const Answer& answer, const std::string& who) {
    return answer.text({"rooms", "join", room_, "state", "events"}).find("\"" + who + "\"") !=
           std::string::npos;
  };
  const Answer first = sync(alice_, "", lazy);
  EXPECT_TRUE(has_member(first, "@alice:own"));
  EXPECT_FALSE(has_member(first, "@bob:own"));
  say(bob_, room_, "one", "1");
  const Answer second = sync(alice_, first.text({"next_batch"}), lazy);
  EXPECT_TRUE(has_member(second, "@bob:own"));
  EXPECT_TRUE(has_member(sync(alice_, first.text({"next_batch"}), lazy), "@bob:own"))
      << "the response may not have arrived";
  say(bob_, room_, "two", "2");
  const std::string known = second.text({"next_batch"});
  EXPECT_FALSE(has_member(sync(alice_, known, lazy), "@bob:own"));
  EXPECT_TRUE(has_member(sync(alice_, known, redundant), "@bob:own"));
  // Another device has not been told.
  const std::string other = call("POST", "/_matrix/client/v3/login", "",
                                 R"({"type":"m.login.password","password":"pw",)"
                                 R"("identifier":{"type":"m.id.user","user":"alice"}})")
                                .text({"access_token"});
  EXPECT_TRUE(has_member(sync(other, known, lazy), "@bob:own"));
  // Who begins anew has forgotten.
  sync(alice_, "", lazy);
  say(bob_, room_, "three", "3");
  crash();
  EXPECT_TRUE(has_member(sync(alice_, known, lazy), "@bob:own"));
}

// Whoever enters a room knows of it by their own request first.
TEST_F(SyncTest, WhoEntersHasTheirAnswerBeforeTheirDevicesAreTold) {
  const std::string carol = join_token("carol");
  const Pending waiting = wait(carol);
  const auto joined = begin("POST", rooms(room_, "/join"), carol, "{}");
  ASSERT_TRUE(simulation_->run_until([&] { return joined->has_value(); }, Millis(10'000)));
  EXPECT_FALSE(waiting->has_value());
  ASSERT_TRUE(answered(waiting));
  EXPECT_NE((*waiting)->text({"rooms", "join", room_}), "");
}

// A request costs a sync of the disk only if it acknowledges something, and then not its own.
TEST_F(SyncTest, AcknowledgedMessagesGoWithAnotherWrite) {
  const auto send = [&](const std::string& id) {
    EXPECT_EQ(call("PUT", "/_matrix/client/v3/sendToDevice/x/" + id, alice_,
                   R"({"messages":{"@bob:own":{"*":{}}}})")
                  .status,
              200);
  };
  const auto rows = [&] {
    size_t count = 0;
    const auto all = database_->snapshot()->iterate(stores::kToDevice, {});
    for (all->seek_to_first(); all->valid(); all->next())
      ++count;
    return count;
  };
  send("1");
  send("2");
  const std::string since = next(bob_);
  EXPECT_EQ(rows(), 2u);
  const uint64_t before = database_->last_sequence();
  EXPECT_EQ(sync(bob_, since).text({"to_device"}), "");
  EXPECT_EQ(database_->last_sequence(), before) << "nobody waits for it";
  simulation_->run_for(Millis(2000));
  EXPECT_EQ(rows(), 0u);
  const uint64_t after = database_->last_sequence();
  sync(bob_, since);
  simulation_->run_for(Millis(2000));
  EXPECT_EQ(database_->last_sequence(), after) << "nothing is left to acknowledge";
}

}  // namespace
}  // namespace polder::server
