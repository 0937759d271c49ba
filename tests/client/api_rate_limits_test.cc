// Who is told to wait, as clients see it, with the limits that a configuration has if it names
// none.
#include "homeserver/base/crypto/hash.h"
#include "homeserver/server/testing/homeserver.h"

namespace polder::server {
namespace {

class RateLimitsTest : public HomeserverTest {
 protected:
  RateLimitsTest() {
    alice_ = join_token("alice");
    bob_ = join_token("bob");
    room_ = create_room(alice_, R"({"preset":"public_chat"})");
    call("POST", rooms(room_, "/join"), bob_);
    rate_limits_ = true;
    crash();
  }

  Answer log_in(const std::string& user, const std::string& password) {
    return call("POST", "/_matrix/client/v3/login", "",
                R"({"type":"m.login.password","identifier":{"type":"m.id.user","user":")" + user +
                    R"("},"password":")" + password + R"("})");
  }
  // How often it is answered with the status before it is told to wait.
  size_t until_limited(int status, const std::function<Answer(size_t)>& ask) {
    for (size_t i = 0; i < 2000; ++i) {
      const Answer answer = ask(i);
      if (answer.status == 429) {
        EXPECT_EQ(answer.text({"errcode"}), "M_LIMIT_EXCEEDED");
        EXPECT_EQ(answer.retry_after,
                  std::to_string((std::stoll(answer.text({"retry_after_ms"})) + 999) / 1000));
        return i;
      }
      EXPECT_EQ(answer.status, status) << i << " " << answer.text({"error"});
    }
    ADD_FAILURE() << "never limited";
    return 0;
  }

  std::string alice_;
  std::string bob_;
  std::string room_;
};

TEST_F(RateLimitsTest, WhoSendsTooMuchWaitsAndNobodyElse) {
  const auto send = [&](size_t i) { return say(alice_, room_, "x", std::to_string(i)); };
  EXPECT_GE(until_limited(200, send), 100u);
  // Not even read, and nothing happened.
  EXPECT_EQ(call("PUT", rooms(room_, "/send/m.room.message/x"), alice_, "{").status, 429);
  const std::string last =
      call("GET", rooms(room_, "/messages?dir=b&limit=1"), alice_).text({"chunk"});
  EXPECT_EQ(call("PUT", rooms(room_, "/state/m.room.topic"), alice_, R"({"topic":"x"})").status,
            429);
  EXPECT_EQ(call("GET", rooms(room_, "/messages?dir=b&limit=1"), alice_).text({"chunk"}), last);
  EXPECT_EQ(call("GET", "/_matrix/client/v3/sync", alice_).status, 200);
  EXPECT_EQ(say(bob_, room_, "x", "1").status, 200);
  simulation_->run_for(Millis(1000));
  EXPECT_EQ(say(alice_, room_, "x", "later").status, 200);
}

TEST_F(RateLimitsTest, AdministratorsAreNotLimited) {
  const std::string path = "/_synapse/admin/v1/register";
  const std::string nonce = call("GET", path).text({"nonce"});
  const std::string mac =
      crypto::hmac_sha1_hex("secret", nonce + '\0' + "root" + '\0' + "pw" + '\0' + "admin");
  const std::string root =
      call("POST", path, "",
           R"({"nonce":")" + nonce + R"(","username":"root","password":"pw","admin":true,"mac":")" +
               mac + "\"}")
          .text({"access_token"});
  EXPECT_EQ(call("POST", rooms(room_, "/join"), root).status, 200);
  for (int i = 0; i < 200; ++i)
    EXPECT_EQ(say(root, room_, "x", std::to_string(i)).status, 200) << i;
}

// Guessed from wherever, and without a difference for who is not there.
TEST_F(RateLimitsTest, WrongPasswordsAreCountedForTheAccount) {
  for (const std::string user : {"alice", "nobody"}) {
    const auto guess = [&](size_t i) {
      address_ = "198.51.100." + std::to_string(i);
      return log_in(user, "guess");
    };
    EXPECT_EQ(until_limited(403, guess), 5u) << user;
  }
  EXPECT_EQ(log_in("alice", "pw").status, 429) << "else guessing could go on";
  EXPECT_EQ(log_in("bob", "pw").status, 200);
  EXPECT_EQ(call("GET", "/_matrix/client/v3/sync", alice_).status, 200);
  simulation_->run_for(Millis(10'000));
  EXPECT_EQ(log_in("alice", "pw").status, 200);
  EXPECT_EQ(log_in("alice", "pw").status, 200) << "a right one does not count";
}

TEST_F(RateLimitsTest, ConfirmingWithWrongPasswordsIsGuessingToo) {
  const auto guess = [&](size_t) {
    return call("POST", "/_matrix/client/v3/delete_devices", alice_,
                R"({"devices":[],"auth":{"type":"m.login.password","password":"guess"}})");
  };
  EXPECT_EQ(until_limited(401, guess), 5u);
  EXPECT_EQ(log_in("alice", "pw").status, 429);
}

TEST_F(RateLimitsTest, LoggingInIsCountedForTheAddressAndForTheAccount) {
  address_ = "198.51.100.1";
  const auto ask = [&](size_t) { return call("POST", "/_matrix/client/v3/login", "", "{}"); };
  EXPECT_EQ(until_limited(400, ask), 30u);
  address_ = "198.51.100.2";
  EXPECT_EQ(call("POST", "/_matrix/client/v3/login", "", "{}").status, 400);
  EXPECT_EQ(until_limited(200, [&](size_t) { return log_in("bob", "pw"); }), 20u);
  EXPECT_EQ(log_in("alice", "pw").status, 200);
}

TEST_F(RateLimitsTest, TryingTokensIsCountedForTheAddress) {
  const std::vector<std::string> paths = {"/_matrix/client/v3/account/whoami",
                                          "/_matrix/media/v3/download/own/x"};
  size_t number = 0;
  for (const std::string& path : paths) {
    address_ = "198.51.100." + std::to_string(++number);
    EXPECT_GE(until_limited(401, [&](size_t) { return call("GET", path, "wrong"); }), 200u) << path;
    EXPECT_EQ(call("GET", paths.front(), alice_).status, 200) << "a right one does not wait";
  }
  address_ = "198.51.100.9";
  EXPECT_GE(until_limited(401, [&](size_t) { return call("GET", paths.front()); }), 200u);
}

TEST_F(RateLimitsTest, RegisteringIsCountedForTheAddress) {
  address_ = "198.51.100.1";
  const auto ask = [&](size_t i) {
    return call("POST", "/_matrix/client/v3/register", "",
                R"({"username":"u)" + std::to_string(i) + R"(","auth":{"type":"m.login.dummy"}})");
  };
  EXPECT_EQ(until_limited(200, ask), 20u);
  address_ = "198.51.100.2";
  join_token("carol");
}

}  // namespace
}  // namespace polder::server
