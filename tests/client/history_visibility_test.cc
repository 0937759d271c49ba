// Who sees which events.
// https://spec.matrix.org/v1.19/client-server-api/#room-history-visibility
#include "homeserver/server/testing/homeserver.h"

namespace polder::server {
namespace {

class VisibilityTest : public HomeserverTest {
 protected:
  std::string said(const std::string& room) {
    return say(alice_, room, "x", std::to_string(++transactions_)).text({"event_id"});
  }
  // "yn": whether the user sees each.
  std::string seen(const std::string& token, const std::string& room,
                   const std::vector<std::string>& events) {
    std::string all;
    for (const std::string& event : events)
      all += call("GET", rooms(room, "/event/" + event), token).status == 200 ? 'y' : 'n';
    return all;
  }

  const std::string alice_ = join_token("alice");
  int transactions_ = 0;
};

TEST_F(VisibilityTest, HistoryIsShownToWhomItIsMeant) {
  const std::string alice = alice_;
  const std::string bob = join_token("bob");
  const std::string room = create_room(
      alice,
      R"({"preset":"public_chat","initial_state":[{"type":"m.room.history_visibility","content":{"history_visibility":"joined"}}]})");
  const std::string before = say(alice, room, "before", "1").text({"event_id"});
  EXPECT_EQ(call("GET", rooms(room, "/event/" + before), bob).status, 404);
  EXPECT_EQ(call("GET", rooms(room, "/state"), bob).status, 403);
  EXPECT_EQ(call("GET", rooms(room, "/messages?dir=b"), bob).status, 403);
  call("POST", rooms(room, "/join"), bob);
  const std::string during = say(alice, room, "during", "2").text({"event_id"});
  EXPECT_EQ(call("GET", rooms(room, "/event/" + before), bob).status, 404);
  EXPECT_EQ(call("GET", rooms(room, "/event/" + during), bob).status, 200);
  EXPECT_EQ(call("GET", rooms(room, "/joined_members"), bob).status, 200);
  call("POST", rooms(room, "/kick"), alice, R"({"user_id":"@bob:own"})");
  const std::string after = say(alice, room, "after", "3").text({"event_id"});
  EXPECT_EQ(call("GET", rooms(room, "/event/" + during), bob).status, 200);
  EXPECT_EQ(call("GET", rooms(room, "/event/" + after), bob).status, 404);
  EXPECT_EQ(call("GET", rooms(room, "/joined_members"), bob).status, 403);
}

TEST_F(VisibilityTest, EverySettingForEveryHistoryOfAMember) {
  std::map<std::string, std::string> token;
  for (const char* name :
       {"member", "invitee", "leaver", "returner", "outcast", "wanted", "stranger"})
    token[name] = join_token(name);
  // Of three events: one while the members are in, one while they are out (the invitee is invited
  // then), one after the returner is back, the outcast banned and the wanted one invited again.
  const struct {
    std::string visibility;
    std::map<std::string, std::string> sees;
  } cases[] = {
      {"world_readable",
       {{"member", "yyy"},
        {"invitee", "yyy"},
        {"leaver", "yyy"},
        {"returner", "yyy"},
        {"outcast", "yyy"},
        {"wanted", "yyy"},
        {"stranger", "yyy"}}},
      {"shared",
       {{"member", "yyy"},
        {"invitee", "nnn"},
        {"leaver", "ynn"},
        {"returner", "yyy"},
        {"outcast", "ynn"},
        {"wanted", "ynn"},
        {"stranger", "nnn"}}},
      {"unknown",
       {{"member", "yyy"},
        {"invitee", "nnn"},
        {"leaver", "ynn"},
        {"returner", "yyy"},
        {"outcast", "ynn"},
        {"wanted", "ynn"},
        {"stranger", "nnn"}}},
      {"invited",
       {{"member", "yyy"},
        {"invitee", "nyy"},
        {"leaver", "ynn"},
        {"returner", "yny"},
        {"outcast", "ynn"},
        {"wanted", "yny"},
        {"stranger", "nnn"}}},
      {"joined",
       {{"member", "yyy"},
        {"invitee", "nnn"},
        {"leaver", "ynn"},
        {"returner", "yny"},
        {"outcast", "ynn"},
        {"wanted", "ynn"},
        {"stranger", "nnn"}}},
  };
  for (const auto& one : cases) {
    const std::string room = room_with_visibility(alice_, one.visibility);
    const auto out = {"leaver", "returner", "outcast", "wanted"};
    act(token["member"], room, "join");
    for (const char* name : out)
      act(token[name], room, "join");
    std::vector<std::string> events = {said(room)};
    for (const char* name : out)
      act(token[name], room, "leave");
    act(alice_, room, "invite", "invitee");
    events.push_back(said(room));
    act(token["returner"], room, "join");
    act(alice_, room, "ban", "outcast");
    act(alice_, room, "invite", "wanted");
    events.push_back(said(room));
    for (const auto& [name, expected] : one.sees)
      EXPECT_EQ(seen(token[name], room, events), expected) << one.visibility << " " << name;
  }
}

// "A visibility change counts with what holds before and with what holds after it."
TEST_F(VisibilityTest, AChangeOfTheSettingHoldsForWhatComesAfterIt) {
  const std::string late = join_token("late");
  const std::string stranger = join_token("stranger");
  const std::vector<std::string> settings = {"world_readable", "shared", "invited", "joined"};
  const auto yes = [](bool seen) { return seen ? "y" : "n"; };
  for (const std::string& from : settings) {
    for (const std::string& to : settings) {
      if (from == to) continue;
      const std::string room = room_with_visibility(alice_, from);
      std::vector<std::string> events = {said(room)};
      events.push_back(
          call("PUT", rooms(room, "/state/m.room.history_visibility"), alice_, visibility(to))
              .text({"event_id"}));
      events.push_back(said(room));
      const auto expected = [&](const std::function<bool(const std::string&)>& open) {
        return std::string(yes(open(from))) + yes(open(from) || open(to)) + yes(open(to));
      };
      const auto world = [](const std::string& s) { return s == "world_readable"; };
      EXPECT_EQ(seen(stranger, room, events), expected(world)) << from << " " << to;
      act(late, room, "join");
      EXPECT_EQ(seen(late, room, events),
                expected([&](const std::string& s) { return world(s) || s == "shared"; }))
          << from << " " << to;
    }
  }
}

TEST_F(VisibilityTest, WhoLeftAndWasBannedSinceStillReadsAndSeesTheStateOfThen) {
  const std::string bob = join_token("bob");
  const std::string room = room_with_visibility(alice_, "shared");
  act(bob, room, "join");
  const std::string during = said(room);
  act(bob, room, "leave");
  act(alice_, room, "ban", "bob");
  call("PUT", rooms(room, "/state/m.room.topic"), alice_, R"({"topic":"later"})");
  EXPECT_EQ(call("GET", rooms(room, "/messages?dir=b"), bob).status, 200);
  EXPECT_EQ(call("GET", rooms(room, "/state"), bob).status, 200);
  EXPECT_EQ(call("GET", rooms(room, "/state/m.room.topic"), bob).status, 404);
  EXPECT_EQ(seen(bob, room, {during}), "y");
  act(bob, room, "forget");
  EXPECT_EQ(seen(bob, room, {during}), "n");
}

// An event about oneself is seen by who was never in the room, and nothing of the room with it.
TEST_F(VisibilityTest, NoStateComesWithTheEndOfAnInviteOrAKnock) {
  const std::string bob = join_token("bob");
  const struct {
    std::string join_rule;
    std::string begin;  // by bob; else alice invites him
    std::function<void(const std::string&)> end;
  } cases[] = {
      {"invite", "", [&](const std::string& room) { act(bob, room, "leave"); }},
      {"invite", "", [&](const std::string& room) { act(alice_, room, "kick", "bob"); }},
      {"invite", "", [&](const std::string& room) { act(alice_, room, "ban", "bob"); }},
      {"knock", "knock", [&](const std::string& room) { act(bob, room, "leave"); }},
      {"knock", "knock", [&](const std::string& room) { act(alice_, room, "kick", "bob"); }},
  };
  for (const auto& one : cases) {
    const std::string room = create_room(
        alice_, R"({"topic":"SECRET","initial_state":[{"type":"m.room.join_rules","state_key":"",)"
                R"("content":{"join_rule":")" +
                    one.join_rule + R"("}}]})");
    if (one.begin.empty()) {
      act(alice_, room, "invite", "bob");
    } else {
      EXPECT_EQ(call("POST", "/_matrix/client/v3/knock/" + room, bob, "{}").status, 200);
    }
    one.end(room);
    const std::string end =
        call("GET", rooms(room, "/state/m.room.member/@bob:own?format=event"), alice_)
            .text({"event_id"});
    const Answer context = call("GET", rooms(room, "/context/" + end), bob);
    EXPECT_EQ(context.status, 200);
    for (const char* none : {"state", "events_before", "events_after"})
      EXPECT_EQ(context.text({none}), "[]") << none;
    EXPECT_NE(call("GET", rooms(room, "/context/" + end), alice_).text({"state"}), "[]");
  }
}

TEST_F(VisibilityTest, MembersThatComeWithOldMessagesAreThoseOfTheStay) {
  const std::string bob = join_token("bob");
  const std::string room = room_with_visibility(alice_, "shared");
  act(bob, room, "join");
  said(room);
  act(bob, room, "leave");
  EXPECT_EQ(call("PUT", rooms(room, "/state/m.room.member/@alice:own"), alice_,
                 R"({"membership":"join","displayname":"Later"})")
                .status,
            200);
  const Answer page = call("GET",
                           rooms(room, "/messages?dir=b&filter=") +
                               base::percent_encode(R"({"lazy_load_members":true})"),
                           bob);
  EXPECT_NE(page.text({"state"}).find("@alice:own"), std::string::npos);
  EXPECT_EQ(json::write(page.body).find("Later"), std::string::npos);
}

TEST_F(VisibilityTest, ErasedUsersAreRedactedForWhoeverWasNotThere) {
  const std::string bob = join_token("bob");
  const std::string carol = join_token("carol");
  const std::string dave = join_token("dave");
  const std::string room = room_with_visibility(alice_, "shared");
  act(bob, room, "join");
  act(carol, room, "join");
  call("PUT", "/_matrix/client/v3/profile/@bob:own/displayname", bob, R"({"displayname":"Bob"})");
  const std::string root = say(bob, room, "personal", "1").text({"event_id"});
  call(
      "PUT", rooms(room, "/send/m.room.message/2"), bob,
      R"({"body":"e","m.new_content":{"body":"edited"},"m.relates_to":{"rel_type":"m.replace","event_id":")" +
          root + "\"}}");
  const std::string alices = said(room);
  const std::string body =
      R"({"erase":true,"auth":{"type":"m.login.password","user":"bob","password":"pw"}})";
  EXPECT_EQ(call("POST", "/_matrix/client/v3/account/deactivate", bob, R"({"erase":true})").status,
            401);
  EXPECT_EQ(call("POST", "/_matrix/client/v3/account/deactivate", bob,
                 R"({"erase":"x","auth":{"type":"m.login.password","user":"bob","password":"pw"}})")
                .text({"errcode"}),
            "M_BAD_JSON");
  EXPECT_EQ(call("POST", "/_matrix/client/v3/account/deactivate", bob, body).status, 200);
  simulation_->run_for(Millis(1'000));  // by itself, bob leaves
  act(dave, room, "join");
  const auto read = [&](const std::string& token) {
    return call("GET", rooms(room, "/event/" + root), token);
  };
  EXPECT_EQ(read(carol).text({"content", "body"}), "personal");
  EXPECT_NE(read(carol).text({"unsigned", "m.relations", "m.replace"}), "");
  EXPECT_EQ(read(dave).status, 200);
  EXPECT_EQ(read(dave).text({"content"}), "{}");
  EXPECT_EQ(read(dave).text({"unsigned", "m.relations"}), "");
  EXPECT_EQ(read(dave).text({"unsigned", "redacted_because"}), "");
  EXPECT_EQ(call("GET", rooms(room, "/event/" + alices), dave).text({"content", "body"}), "x");
  const Answer page = call("GET", rooms(room, "/messages?dir=b&limit=50"), dave);
  for (const char* gone : {"personal", "edited", "Bob"})
    EXPECT_EQ(page.text({"chunk"}).find(gone), std::string::npos) << gone;
  EXPECT_NE(page.text({"chunk"}).find(R"("body":"x")"), std::string::npos);
  const Answer synced = sync(dave);
  EXPECT_EQ(synced.text({"rooms", "join", room, "timeline"}).find("personal"), std::string::npos);
  // Carol leaves and comes back: she was there.
  act(carol, room, "leave");
  act(carol, room, "join");
  EXPECT_EQ(read(carol).text({"content", "body"}), "personal");
}

}  // namespace
}  // namespace polder::server
