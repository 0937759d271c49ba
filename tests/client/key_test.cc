// What clients with end-to-end encryption rely on: keys, device lists, messages to devices.
#include "homeserver/server/testing/homeserver.h"

namespace polder::server {
namespace {

class KeyTest : public TwoInARoomTest {
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
};

TEST_F(KeyTest, DeviceListsTellOfChangesToWhoSharesARoom) {
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
TEST_F(KeyTest, WhoWasAwayBetweenTwoSyncsHasToBeLookedUp) {
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

TEST_F(KeyTest, AOneTimeKeyIsGivenOnceThenTheFallback) {
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

TEST_F(KeyTest, KeysOfADeletedDeviceAreGone) {
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

TEST_F(KeyTest, KeysOfManyUsersAreToldAndOfTooManyRefused) {
  const std::string device = upload_device_keys("alice", alice_);
  const auto query = [&](size_t others) {
    std::string wanted = R"("@alice:own":[],"@bob:own":[])";
    for (size_t i = 0; i < others; ++i)
      wanted += ",\"@nobody" + std::to_string(i) + ":own\":[]";
    return call("POST", "/_matrix/client/v3/keys/query", bob_,
                R"({"device_keys":{)" + wanted + "}}");
  };
  const Answer keys = query(998);
  EXPECT_EQ(keys.status, 200);
  EXPECT_NE(keys.text({"device_keys", "@alice:own"}).find(device), std::string::npos);
  EXPECT_EQ(keys.text({"device_keys", "@bob:own"}), "{}");
  for (const char* list : {"master_keys", "self_signing_keys", "user_signing_keys", "failures"})
    EXPECT_EQ(keys.text({list}), "{}") << list;
  const Answer refused = query(999);
  EXPECT_EQ(refused.status, 413);
  EXPECT_EQ(refused.text({"errcode"}), "M_TOO_LARGE");
}

TEST_F(KeyTest, MessagesToADeviceComeInOrderUntilAcknowledged) {
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

TEST_F(KeyTest, AMessageToDevicesIsSentOnceForATypeAndTransactionId) {
  const std::string alice = alice_;
  const auto send = [&](const std::string& type, const std::string& text) {
    return begin("PUT", "/_matrix/client/v3/sendToDevice/" + type + "/t", alice,
                 R"({"messages":{"@alice:own":{"*":{"text":")" + text + R"("}}}})");
  };
  std::vector<std::shared_ptr<std::optional<Answer>>> answers;
  for (int i = 0; i < 4; ++i) {
    answers.push_back(send("one", "x"));
    answers.push_back(send("two", "x"));
  }
  ASSERT_TRUE(simulation_->run_until(
      [&] { return std::ranges::all_of(answers, [](const auto& a) { return a->has_value(); }); },
      Millis(60'000)));
  const Answer synced = sync(alice);
  const json::Value* events = json::at(*synced.body.as_object(), {"to_device", "events"});
  ASSERT_NE(events, nullptr);
  EXPECT_EQ(events->as_array()->size(), 2u);
}

}  // namespace
}  // namespace polder::server
