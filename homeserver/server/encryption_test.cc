// What clients with end-to-end encryption rely on: keys, device lists, messages to devices; and
// receipts and typing.
#include "homeserver/server/testing/homeserver.h"

namespace polder::server {
namespace {

class Encryption : public HomeserverTest {
 protected:
  std::string device_of(const std::string& token) {
    return call("GET", "/_matrix/client/v3/account/whoami", token).text({"device_id"});
  }
  std::string upload_device_keys(const std::string& name, const std::string& token) {
    const std::string device = device_of(token);
    const std::string user = "@" + name + ":own";
    const Answer uploaded =
        call("POST", "/_matrix/client/v3/keys/upload", token,
             R"({"device_keys":{"user_id":")" + user + R"(","device_id":")" + device +
                 R"(","algorithms":["m.olm.v1.curve25519-aes-sha2"],"keys":{"ed25519:)" + device +
                 R"(":"a2V5"},"signatures":{")" + user + R"(":{"ed25519:)" + device +
                 R"(":"c2ln"}}},"one_time_keys":{"signed_curve25519:AAAA":{"key":"b25l"}},
            "fallback_keys":{"signed_curve25519:F":{"key":"ZmFsbA","fallback":true}}})");
    EXPECT_EQ(uploaded.status, 200) << uploaded.text({"error"});
    EXPECT_EQ(uploaded.text({"one_time_key_counts", "signed_curve25519"}), "1");
    return device;
  }
  static std::string next(const Answer& answer) { return answer.text({"next_batch"}); }
  // Alice and bob in one room.
  void SetUp() override {
    alice_ = join_token("alice");
    bob_ = join_token("bob");
    room_ = create_room(alice_, R"({"preset":"public_chat"})");
    EXPECT_EQ(call("POST", rooms(room_, "/join"), bob_).status, 200);
  }

  std::string alice_, bob_, room_;
};

TEST_F(Encryption, DeviceListsTellOfChangesToWhoSharesARoom) {
  const std::string carol = join_token("carol");
  const std::string bob_since = next(sync(bob_));
  const std::string carol_since = next(sync(carol));
  upload_device_keys("alice", alice_);
  const Answer bob = sync(bob_, bob_since);
  EXPECT_EQ(bob.text({"device_lists", "changed"}), R"(["@alice:own"])");
  EXPECT_EQ(sync(carol, carol_since).text({"device_lists"}), "");
  EXPECT_EQ(
      call("GET", "/_matrix/client/v3/keys/changes?from=" + bob_since + "&to=" + next(bob), bob_)
          .text({"changed"}),
      R"(["@alice:own"])");
  // Who comes in has to be looked up; who goes may be forgotten.
  EXPECT_EQ(call("POST", rooms(room_, "/join"), carol).status, 200);
  EXPECT_EQ(sync(carol, carol_since).text({"device_lists", "changed"}),
            R"(["@alice:own","@bob:own","@carol:own"])");
  const Answer came = sync(bob_, next(bob));
  EXPECT_EQ(came.text({"device_lists", "changed"}), R"(["@carol:own"])");
  EXPECT_EQ(call("POST", rooms(room_, "/leave"), carol).status, 200);
  EXPECT_EQ(sync(bob_, next(came)).text({"device_lists", "left"}), R"(["@carol:own"])");
  const Answer left = sync(carol, carol_since);
  EXPECT_EQ(left.text({"device_lists", "changed"}), "");
}

// "When they start sharing a room again, Bob has an out-of-date list of Alice's devices. [...]
// Bob's homeserver will add Alice's user ID to the changed property."
TEST_F(Encryption, WhoWasAwayBetweenTwoSyncsHasToBeLookedUp) {
  const auto leave = [&](const std::string& who) {
    EXPECT_EQ(call("POST", rooms(room_, "/leave"), who).status, 200);
  };
  const auto join = [&](const std::string& who) {
    EXPECT_EQ(call("POST", rooms(room_, "/join"), who).status, 200);
  };
  const auto rename = [&](const std::string& who, const std::string& name) {
    EXPECT_EQ(
        call("PUT", rooms(room_, "/state/m.room.member/" + who), who == "@bob:own" ? bob_ : alice_,
             R"({"membership":"join","displayname":")" + name + "\"}")
            .status,
        200);
  };
  const std::string since = next(sync(bob_));
  rename("@alice:own", "A");
  rename("@alice:own", "B");
  rename("@bob:own", "B");
  EXPECT_EQ(sync(bob_, since).text({"device_lists"}), "") << "a name is no device";
  leave(alice_);
  upload_device_keys("alice", alice_);
  join(alice_);
  rename("@alice:own", "C");
  EXPECT_EQ(sync(bob_, since).text({"device_lists", "changed"}), R"(["@alice:own"])");
  const std::string here = next(sync(bob_));
  leave(bob_);
  join(bob_);
  EXPECT_EQ(sync(bob_, here).text({"device_lists", "changed"}), R"(["@alice:own","@bob:own"])");
}

TEST_F(Encryption, AOneTimeKeyIsGivenOnceThenTheFallback) {
  const std::string device = upload_device_keys("alice", alice_);
  const std::string wanted =
      R"({"one_time_keys":{"@alice:own":{")" + device + R"(":"signed_curve25519"}}})";
  const auto claim = [&] {
    return call("POST", "/_matrix/client/v3/keys/claim", bob_, wanted)
        .text({"one_time_keys", "@alice:own", device});
  };
  EXPECT_EQ(sync(alice_).text({"device_unused_fallback_key_types"}), R"(["signed_curve25519"])");
  EXPECT_NE(claim().find("b25l"), std::string::npos);
  EXPECT_NE(claim().find("ZmFsbA"), std::string::npos);
  EXPECT_NE(claim().find("ZmFsbA"), std::string::npos);
  const Answer after = sync(alice_);
  EXPECT_EQ(after.text({"device_one_time_keys_count", "signed_curve25519"}), "0");
  EXPECT_EQ(after.text({"device_unused_fallback_key_types"}), "[]");
}

TEST_F(Encryption, KeysOfADeletedDeviceAreGone) {
  const std::string device = upload_device_keys("alice", alice_);
  const std::string since = next(sync(bob_));
  const auto query = [&] {
    return call("POST", "/_matrix/client/v3/keys/query", bob_,
                R"({"device_keys":{"@alice:own":[]}})")
        .text({"device_keys", "@alice:own"});
  };
  EXPECT_NE(query().find(device), std::string::npos);
  EXPECT_EQ(call("POST", "/_matrix/client/v3/logout", alice_, "{}").status, 200);
  EXPECT_EQ(sync(bob_, since).text({"device_lists", "changed"}), R"(["@alice:own"])");
  EXPECT_EQ(query(), "{}");
}

TEST_F(Encryption, MessagesToADeviceComeInOrderUntilAcknowledged) {
  const std::string device = device_of(alice_);
  const std::string start = next(sync(alice_));
  for (int i = 0; i < 130; ++i) {
    const std::string number = std::to_string(i);
    EXPECT_EQ(call("PUT", "/_matrix/client/v3/sendToDevice/m.test/" + number, bob_,
                   R"({"messages":{"@alice:own":{")" + device + R"(":{"n":)" + number + "}}}}")
                  .status,
              200);
  }
  // The same transaction id sends nothing.
  call("PUT", "/_matrix/client/v3/sendToDevice/m.test/7", bob_,
       R"({"messages":{"@alice:own":{"*":{"n":7}}}})");
  const auto numbers = [](const Answer& answer) {
    std::vector<int64_t> found;
    const json::Value* events = json::at(*answer.body.as_object(), {"to_device", "events"});
    if (events == nullptr) return found;
    for (const json::Value& event : *events->as_array())
      found.push_back(*event.as_object()->find_object("content")->find_int("n"));
    return found;
  };
  const Answer first = sync(alice_, start);
  const std::vector<int64_t> before = numbers(first);
  EXPECT_EQ(before, numbers(sync(alice_, start)));
  const Answer second = sync(alice_, next(first));
  std::vector<int64_t> all = before;
  const std::vector<int64_t> rest = numbers(second);
  all.insert(all.end(), rest.begin(), rest.end());
  std::vector<int64_t> expected(130);
  for (size_t i = 0; i < expected.size(); ++i)
    expected[i] = static_cast<int64_t>(i);
  EXPECT_EQ(all, expected);
  crash();
  EXPECT_TRUE(numbers(sync(alice_, next(second))).empty());
}

TEST_F(Encryption, ReceiptsReachTheRoomAndPrivateOnesTheirOwner) {
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
TEST_F(Encryption, ReceiptsComeByThread) {
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

TEST_F(Encryption, ReadMarkersSetTheFullyReadEvent) {
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

TEST_F(Encryption, TypingIsToldAndEndsByItself) {
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

}  // namespace
}  // namespace polder::server
