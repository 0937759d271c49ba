// What was redacted, wherever clients could still find it.
#include "homeserver/server/testing/homeserver.h"

namespace polder::server {
namespace {

class RedactionTest : public HomeserverTest {
 protected:
  std::string set_state(const std::string& token, const std::string& room, const std::string& type,
                        const std::string& content) {
    const Answer sent = call("PUT", rooms(room, "/state/" + type), token, content);
    EXPECT_EQ(sent.status, 200) << sent.text({"error"});
    return sent.text({"event_id"});
  }
  void redact(const std::string& token, const std::string& room, const std::string& event) {
    const Answer redacted =
        call("PUT", rooms(room, "/redact/" + event + "/" + std::to_string(++transactions_)), token,
             "{}");
    EXPECT_EQ(redacted.status, 200) << redacted.text({"error"});
  }
  std::string answer(const std::string& token, const std::string& target) {
    const Answer got = call("GET", target, token);
    EXPECT_EQ(got.status, 200) << target;
    return json::write(got.body);
  }

  int transactions_ = 0;
};

TEST_F(RedactionTest, NothingThatReadsARoomShowsWhatWasRedacted) {
  for (const char* version : {"10", "11", "12"}) {
    const std::string alice = join_token(std::string("alice") + version);
    const std::string bob = join_token(std::string("bob") + version);
    const std::string late = join_token(std::string("late") + version);
    const std::string guest = join_token(std::string("guest") + version);
    const std::string bobs_id = "@bob" + std::string(version) + ":own";
    const std::string room = create_room(
        alice, R"({"preset":"public_chat","room_version":")" + std::string(version) + R"("})");
    call("POST", rooms(room, "/join"), bob);
    std::vector<std::string> secrets;
    for (const char* type : {"m.room.topic", "m.room.name", "m.room.avatar", "org.example.any/k"})
      secrets.push_back(set_state(
          alice, room, type, R"({"topic":"SECRET","name":"SECRET","url":"mxc://own/SECRET"})"));
    secrets.push_back(set_state(bob, room, "m.room.member/" + bobs_id,
                                R"({"membership":"join","displayname":"SECRET"})"));
    secrets.push_back(call("PUT", rooms(room, "/send/m.room.message/1"), alice,
                           R"({"body":"SECRET","url":"mxc://own/SECRET"})")
                          .text({"event_id"}));
    // Everything has been shown once, and is remembered as it was.
    for (const std::string& token : {alice, bob})
      EXPECT_NE(json::write(sync(token).body).find("SECRET"), std::string::npos);
    for (const std::string& event : secrets)
      redact(alice, room, event);
    EXPECT_EQ(answer(alice, rooms(room, "/state/m.room.topic")), "{}");
    EXPECT_EQ(answer(alice, rooms(room, "/state/m.room.member/" + bobs_id)),
              R"({"membership":"join"})");
    const auto expect_hidden = [&](const std::string& when) {
      const std::string filter = base::percent_encode(R"({"contains_url":true})");
      for (const std::string& token : {alice, bob, late}) {
        std::vector<std::string> targets = {rooms(room, "/state"),
                                            rooms(room, "/members"),
                                            rooms(room, "/joined_members"),
                                            rooms(room, "/messages?dir=b&limit=100"),
                                            rooms(room, "/messages?dir=f&limit=100"),
                                            rooms(room, "/context/" + secrets[0] + "?limit=100"),
                                            rooms(room, "/state/m.room.topic?format=event"),
                                            "/_matrix/client/v3/sync"};
        for (const std::string& event : secrets)
          targets.push_back(rooms(room, "/event/" + event));
        for (const std::string& target : targets)
          EXPECT_EQ(answer(token, target).find("SECRET"), std::string::npos) << when << target;
        EXPECT_EQ(call("GET", rooms(room, "/messages?dir=b&limit=100&filter=" + filter), token)
                      .text({"chunk"}),
                  "[]");
      }
      call("POST", rooms(room, "/invite"), alice,
           R"({"user_id":"@guest)" + std::string(version) + R"(:own"})");
      const std::string invited = sync(guest).text({"rooms", "invite", room});
      EXPECT_NE(invited.find("m.room.topic"), std::string::npos);
      EXPECT_EQ(invited.find("SECRET"), std::string::npos) << when;
    };
    call("POST", rooms(room, "/join"), late);
    expect_hidden("redacted ");
    // What replaces it has it as what was there before.
    for (const char* type : {"m.room.topic", "m.room.name", "m.room.avatar", "org.example.any/k"})
      set_state(alice, room, type, R"({"topic":"new"})");
    set_state(bob, room, "m.room.member/" + bobs_id,
              R"({"membership":"join","displayname":"Bob"})");
    expect_hidden("replaced ");
    crash();
    ASSERT_TRUE(homeserver_->start().ok());
    expect_hidden("started again ");
  }
}

TEST_F(RedactionTest, WhatWasShownAsReplacedBeforeItWasRedactedIsNotShownAgain) {
  const std::string alice = join_token("alice");
  const std::string room = create_room(alice);
  const std::string first = set_state(alice, room, "m.room.topic", R"({"topic":"SECRET"})");
  set_state(alice, room, "m.room.topic", R"({"topic":"new"})");
  EXPECT_NE(json::write(sync(alice).body).find("SECRET"), std::string::npos);
  redact(alice, room, first);
  const Answer again = sync(alice);
  EXPECT_EQ(json::write(again.body).find("SECRET"), std::string::npos);
  const Answer event = call("GET", rooms(room, "/state/m.room.topic?format=event"), alice);
  EXPECT_EQ(event.text({"unsigned", "prev_content"}), "{}");
  EXPECT_EQ(event.text({"unsigned", "replaces_state"}), first);
}

}  // namespace
}  // namespace polder::server
