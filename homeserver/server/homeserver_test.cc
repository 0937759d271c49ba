// The client-server API of a whole homeserver, in one process, without a network.
#include "homeserver/server/testing/homeserver.h"
#include "homeserver/base/crypto/hash.h"
#include "homeserver/server/consistency.h"

namespace polder::server {
namespace {

TEST_F(HomeserverTest, RegistersLogsInAndOut) {
  EXPECT_EQ(call("GET", "/_matrix/client/versions").status, 200);
  EXPECT_EQ(call("POST", "/_matrix/client/v3/register", "", "{}").status, 401);
  const std::string token = join_token("alice");
  EXPECT_EQ(call("GET", "/_matrix/client/v3/account/whoami", token).text({"user_id"}),
            "@alice:own");
  EXPECT_EQ(call("POST", "/_matrix/client/v3/register", "",
                 R"({"username":"alice","auth":{"type":"m.login.dummy"}})")
                .text({"errcode"}),
            "M_USER_IN_USE");
  EXPECT_EQ(call("POST", "/_matrix/client/v3/register", "",
                 R"({"username":"A b","auth":{"type":"m.login.dummy"}})")
                .text({"errcode"}),
            "M_INVALID_USERNAME");
  const std::string login =
      R"({"type":"m.login.password","identifier":{"type":"m.id.user","user":"alice"},"password":")";
  EXPECT_EQ(call("POST", "/_matrix/client/v3/login", "", login + "wrong\"}").text({"errcode"}),
            "M_FORBIDDEN");
  const Answer second =
      call("POST", "/_matrix/client/v3/login", "", login + R"(pw","device_id":"PHONE"})");
  EXPECT_EQ(second.text({"device_id"}), "PHONE");
  for (const char* name : {"ALICE", "@Alice:own", "@ALICE:OWN"}) {
    EXPECT_EQ(call("POST", "/_matrix/client/v3/login", "",
                   R"({"type":"m.login.password","identifier":{"type":"m.id.user","user":")" +
                       std::string(name) + R"("},"password":"pw"})")
                  .text({"user_id"}),
              "@alice:own")
        << name;
  }
  EXPECT_EQ(call("POST", "/_matrix/client/v3/logout", token).status, 200);
  const Answer refused = call("GET", "/_matrix/client/v3/account/whoami", token);
  EXPECT_EQ(refused.status, 401);
  EXPECT_EQ(refused.text({"errcode"}), "M_UNKNOWN_TOKEN");
  EXPECT_EQ(call("GET", "/_matrix/client/v3/account/whoami").text({"errcode"}), "M_MISSING_TOKEN");
  EXPECT_EQ(
      call("GET", "/_matrix/client/v3/account/whoami?access_token=" + second.text({"access_token"}))
          .status,
      200);
}

TEST_F(HomeserverTest, BadBodiesGetTheirErrcodes) {
  const std::string token = join_token("alice");
  const std::string room = create_room(token);
  EXPECT_EQ(call("POST", "/_matrix/client/v3/login", "", "{").text({"errcode"}), "M_NOT_JSON");
  EXPECT_EQ(call("POST", "/_matrix/client/v3/login", "", "[]").text({"errcode"}), "M_BAD_JSON");
  EXPECT_EQ(call("POST", "/_matrix/client/v3/login", "", "{}").text({"errcode"}),
            "M_MISSING_PARAM");
  EXPECT_EQ(call("PUT", rooms(room, "/send/m.room.message/1"), token, R"({"body":1.5})")
                .text({"errcode"}),
            "M_BAD_JSON");
  EXPECT_EQ(call("POST", "/_matrix/client/v3/createRoom", token, R"({"room_version":"99"})")
                .text({"errcode"}),
            "M_UNSUPPORTED_ROOM_VERSION");
  EXPECT_EQ(call("POST", "/_matrix/client/v3/createRoom", token, R"({"invite":["bob"]})")
                .text({"errcode"}),
            "M_INVALID_PARAM");
  EXPECT_EQ(call("GET", "/_matrix/client/v3/nothing", token).text({"errcode"}), "M_UNRECOGNIZED");
  EXPECT_EQ(call("POST", "/_matrix/client/v3/keys/upload", token,
                 R"({"device_keys":{"user_id":"@alice:own","device_id":"x"}})")
                .text({"errcode"}),
            "M_BAD_JSON");
  EXPECT_EQ(say(token, "!no:own", "x", "1").status, 403);
}

TEST_F(HomeserverTest, AConversationReachesBothAndOutlivesACrash) {
  const std::string alice = join_token("alice");
  const std::string bob = join_token("bob");
  const std::string room =
      create_room(alice, R"({"preset":"private_chat","name":"Room","invite":["@bob:own"]})");
  const Answer invited = call("GET", "/_matrix/client/v3/sync", bob);
  EXPECT_NE(invited.text({"rooms", "invite", room, "invite_state", "events"}).find("m.room.name"),
            std::string::npos);
  EXPECT_EQ(say(bob, room, "too early", "0").status, 403);
  EXPECT_EQ(call("POST", rooms(room, "/join"), bob).status, 200);
  const Answer first = call("GET", "/_matrix/client/v3/sync", bob);
  const Answer sent = say(alice, room, "hello", "1");
  EXPECT_EQ(sent.status, 200);
  // The same transaction again is the same event.
  EXPECT_EQ(say(alice, room, "hello", "1").text({"event_id"}), sent.text({"event_id"}));
  const Answer second =
      call("GET", "/_matrix/client/v3/sync?since=" + first.text({"next_batch"}), bob);
  EXPECT_EQ(bodies(second, room), "hello;");
  crash();
  EXPECT_EQ(say(alice, room, "hello", "1").text({"event_id"}), sent.text({"event_id"}));
  EXPECT_EQ(say(bob, room, "after", "1").status, 200);
  const Answer third =
      call("GET", "/_matrix/client/v3/sync?since=" + second.text({"next_batch"}), alice);
  EXPECT_EQ(bodies(third, room), "after;");
  const auto report = check_consistency(*database_);
  EXPECT_EQ(report->faults, std::vector<std::string>{});
}

TEST_F(HomeserverTest, WhoIsInvitedOrKnocksSeesTheEndOfIt) {
  const std::string alice = join_token("alice");
  const std::string bob = join_token("bob");
  const std::string room =
      create_room(alice, R"({"preset":"private_chat","initial_state":[{"type":"m.room.join_rules",)"
                         R"("state_key":"","content":{"join_rule":"knock"}}]})");
  const std::string of_bob = R"({"user_id":"@bob:own"})";
  const auto invite = [&] { return call("POST", rooms(room, "/invite"), alice, of_bob).status; };
  const auto knock = [&] { return call("POST", "/_matrix/client/v3/knock/" + room, bob).status; };
  const auto by_alice = [&](const char* what) {
    return call("POST", rooms(room, what), alice, of_bob).status;
  };
  const auto by_bob = [&] { return call("POST", rooms(room, "/leave"), bob).status; };
  struct Case {
    const char* what;
    std::function<int()> begin;
    std::function<int()> end;
    std::string membership;
  };
  for (const Case& c : std::vector<Case>{
           {"an invite is declined", invite, by_bob, "leave"},
           {"an invite is taken back", invite, [&] { return by_alice("/kick"); }, "leave"},
           {"a knock is taken back", knock, by_bob, "leave"},
           {"a knock is refused", knock, [&] { return by_alice("/kick"); }, "leave"},
           {"a ban ends it", invite, [&] { return by_alice("/ban"); }, "ban"}}) {
    EXPECT_EQ(c.begin(), 200) << c.what;
    const Answer before = call("GET", "/_matrix/client/v3/sync", bob);
    EXPECT_EQ(c.end(), 200) << c.what;
    const Answer after =
        call("GET", "/_matrix/client/v3/sync?since=" + before.text({"next_batch"}), bob);
    const json::Value* events =
        json::at(*after.body.as_object(), {"rooms", "leave", room, "timeline", "events"});
    ASSERT_NE(events, nullptr) << c.what;
    ASSERT_EQ(events->as_array()->size(), 1u) << c.what << json::write(*events);
    const json::Object& event = *events->as_array()->front().as_object();
    EXPECT_EQ(*event.find_string("state_key"), "@bob:own") << c.what;
    EXPECT_EQ(*event.find_object("content")->find_string("membership"), c.membership) << c.what;
  }
}

TEST_F(HomeserverTest, ALongPollWakesUpForAMessageAndForAnInvite) {
  const std::string alice = join_token("alice");
  const std::string bob = join_token("bob");
  const std::string room = create_room(alice, R"({"preset":"public_chat"})");
  Answer sync = call("GET", "/_matrix/client/v3/sync", bob);
  auto waiting = begin(
      "GET", "/_matrix/client/v3/sync?timeout=30000&since=" + sync.text({"next_batch"}), bob, "");
  simulation_->run_for(Millis(5000));
  EXPECT_FALSE(waiting->has_value());
  call("POST", rooms(room, "/invite"), alice, R"({"user_id":"@bob:own"})");
  simulation_->run_for(Millis(1000));
  ASSERT_TRUE(waiting->has_value());
  EXPECT_NE((*waiting)->text({"rooms", "invite", room}), "");
  call("POST", rooms(room, "/join"), bob);
  sync = call("GET", "/_matrix/client/v3/sync?since=" + (*waiting)->text({"next_batch"}), bob);
  EXPECT_NE(sync.text({"rooms", "join", room}).find("m.room.create"), std::string::npos);
  waiting = begin("GET", "/_matrix/client/v3/sync?timeout=30000&since=" + sync.text({"next_batch"}),
                  bob, "");
  simulation_->run_for(Millis(5000));
  EXPECT_FALSE(waiting->has_value());
  say(alice, room, "wake up", "1");
  simulation_->run_for(Millis(1000));
  ASSERT_TRUE(waiting->has_value());
  EXPECT_EQ(bodies(**waiting, room), "wake up;");
  // Without news, the time passes.
  waiting = begin("GET",
                  "/_matrix/client/v3/sync?timeout=30000&since=" + (*waiting)->text({"next_batch"}),
                  bob, "");
  simulation_->run_for(Millis(31'000));
  EXPECT_TRUE(waiting->has_value());
}

TEST_F(HomeserverTest, ALimitedTimelineIsContinuedByMessages) {
  const std::string alice = join_token("alice");
  const std::string room = create_room(alice);
  for (int i = 0; i < 25; ++i)
    say(alice, room, std::to_string(i), std::to_string(i));
  const Answer sync = call("GET",
                           "/_matrix/client/v3/sync?filter="
                           "%7B%22room%22%3A%7B%22timeline%22%3A%7B%22limit%22%3A5%7D%7D%7D",
                           alice);
  EXPECT_EQ(bodies(sync, room), "20;21;22;23;24;");
  EXPECT_EQ(sync.text({"rooms", "join", room, "timeline", "limited"}), "true");
  std::string from = sync.text({"rooms", "join", room, "timeline", "prev_batch"});
  std::string seen;
  for (int page = 0; page < 10 && !from.empty(); ++page) {
    const Answer messages = call("GET", rooms(room, "/messages?dir=b&limit=7&from=" + from), alice);
    EXPECT_EQ(messages.status, 200);
    for (const json::Value& event : *messages.body.as_object()->find_array("chunk")) {
      if (const json::Value* body = json::at(*event.as_object(), {"content", "body"}))
        seen += *body->as_string() + ";";
    }
    from = messages.text({"end"});
  }
  EXPECT_EQ(seen, "19;18;17;16;15;14;13;12;11;10;9;8;7;6;5;4;3;2;1;0;");
}

TEST_F(HomeserverTest, HistoryIsShownToWhomItIsMeant) {
  const std::string alice = join_token("alice");
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

TEST_F(HomeserverTest, RedactionsRelationsAndStateAreServed) {
  const std::string alice = join_token("alice");
  const std::string room = create_room(alice, R"({"topic":"T"})");
  EXPECT_EQ(call("GET", rooms(room, "/state/m.room.topic"), alice).text({"topic"}), "T");
  EXPECT_EQ(call("PUT", rooms(room, "/state/m.room.topic"), alice, R"({"topic":"U"})").status, 200);
  EXPECT_EQ(call("GET", rooms(room, "/state/m.room.topic/"), alice).text({"topic"}), "U");
  const std::string note = rooms(room, "/state/org.example.note");
  const Answer first = call("PUT", note, alice, R"({"note":1})");
  EXPECT_EQ(call("PUT", note, alice, R"({"note":1})").text({"event_id"}), first.text({"event_id"}));
  EXPECT_NE(call("PUT", note, alice, R"({"note":2})").text({"event_id"}), first.text({"event_id"}));
  EXPECT_EQ(call("GET", "/_matrix/client/r0/rooms/" + room + "/state/m.room.topic", alice).status,
            200);
  const std::string aliases = rooms(room, "/state/m.room.canonical_alias");
  EXPECT_EQ(call("PUT", aliases, alice, R"({"alias":"#none:own"})").text({"errcode"}),
            "M_BAD_ALIAS");
  EXPECT_EQ(call("PUT", aliases, alice, R"({"alt_aliases":["x"]})").text({"errcode"}),
            "M_INVALID_PARAM");
  EXPECT_EQ(call("PUT", aliases, alice, "{}").status, 200);
  EXPECT_EQ(call("GET", rooms(room, "/state/m.room.topic"), alice).text({"topic"}), "U");
  const std::string root = say(alice, room, "root", "1").text({"event_id"});
  call("PUT", rooms(room, "/send/m.reaction/2"), alice,
       R"({"m.relates_to":{"rel_type":"m.annotation","event_id":")" + root + R"(","key":"+"}})");
  const Answer relations =
      call("GET", "/_matrix/client/v1/rooms/" + room + "/relations/" + root, alice);
  EXPECT_EQ(relations.body.as_object()->find_array("chunk")->size(), 1u);
  const Answer context = call("GET", rooms(room, "/context/" + root + "?limit=4"), alice);
  EXPECT_EQ(context.text({"event", "content", "body"}), "root");
  EXPECT_EQ(context.body.as_object()->find_array("events_before")->size(), 2u);
  EXPECT_EQ(call("PUT", rooms(room, "/redact/" + root + "/3"), alice, R"({"reason":"r"})").status,
            200);
  const Answer redacted = call("GET", rooms(room, "/event/" + root), alice);
  EXPECT_EQ(redacted.text({"content"}), "{}");
  EXPECT_EQ(redacted.text({"unsigned", "redacted_because", "content", "reason"}), "r");
}

TEST_F(HomeserverTest, EditsAndThreadsAreBundledWithTheirEvent) {
  const std::string alice = join_token("alice");
  const std::string bob = join_token("bob");
  const std::string room = create_room(alice, R"({"preset":"public_chat"})");
  call("POST", rooms(room, "/join"), bob);
  const std::string root = say(alice, room, "root", "1").text({"event_id"});
  int transaction = 10;
  const auto relate = [&](const std::string& token, const std::string& rel_type,
                          const std::string& rest) {
    return call("PUT", rooms(room, "/send/m.room.message/" + std::to_string(transaction++)), token,
                R"({"body":"x","msgtype":"m.text","m.relates_to":{"rel_type":")" + rel_type +
                    R"(","event_id":")" + root + "\"}" + rest + "}")
        .text({"event_id"});
  };
  const auto bundle = [&](const std::string& token) {
    return call("GET", rooms(room, "/event/" + root), token);
  };
  EXPECT_EQ(bundle(alice).text({"unsigned", "m.relations"}), "");
  relate(alice, "m.thread", "");
  const std::string last = relate(alice, "m.thread", "");
  EXPECT_EQ(bundle(bob).text({"unsigned", "m.relations", "m.thread", "count"}), "2");
  EXPECT_EQ(bundle(bob).text({"unsigned", "m.relations", "m.thread", "current_user_participated"}),
            "false");
  const std::string answer = relate(bob, "m.thread", "");
  EXPECT_EQ(bundle(bob).text({"unsigned", "m.relations", "m.thread", "current_user_participated"}),
            "true");
  EXPECT_EQ(bundle(bob).text({"unsigned", "m.relations", "m.thread", "latest_event", "event_id"}),
            answer);
  call("PUT", rooms(room, "/redact/" + answer + "/99"), bob, "{}");
  EXPECT_EQ(bundle(bob).text({"unsigned", "m.relations", "m.thread", "latest_event", "event_id"}),
            last);
  // Only the sender's own edits count, and only whole ones.
  relate(bob, "m.replace", R"(,"m.new_content":{"body":"forged"})");
  relate(alice, "m.replace", "");
  EXPECT_EQ(bundle(bob).text({"unsigned", "m.relations", "m.replace"}), "");
  const std::string edit = relate(alice, "m.replace", R"(,"m.new_content":{"body":"better"})");
  EXPECT_EQ(bundle(bob).text({"unsigned", "m.relations", "m.replace", "event_id"}), edit);
  call("PUT", rooms(room, "/redact/" + root + "/100"), alice, "{}");
  EXPECT_EQ(bundle(bob).text({"unsigned", "m.relations", "m.replace"}), "");
  EXPECT_EQ(bundle(bob).text({"unsigned", "m.relations", "m.thread", "count"}), "2");
}

TEST_F(HomeserverTest, RelationsArePagedFromWhatWasSynced) {
  const std::string alice = join_token("alice");
  const std::string room = create_room(alice);
  const std::string root = say(alice, room, "root", "1").text({"event_id"});
  const auto reply = [&](const std::string& text) {
    call("PUT", rooms(room, "/send/m.room.message/" + text), alice,
         R"({"body":")" + text + R"(","m.relates_to":{"rel_type":"m.thread","event_id":")" + root +
             "\"}}");
  };
  reply("a");
  reply("b");
  const std::string since = sync(alice).text({"next_batch"});
  reply("c");
  reply("d");
  const auto page = [&](const std::string& query) {
    const Answer answer =
        call("GET", "/_matrix/client/v1/rooms/" + room + "/relations/" + root + "?limit=1" + query,
             alice);
    std::string text;
    for (const json::Value& event : *answer.body.as_object()->find_array("chunk"))
      text += *json::at(*event.as_object(), {"content", "body"})->as_string();
    return std::pair(text, answer.text({"next_batch"}));
  };
  const auto forth = page("&dir=f&from=" + since);
  EXPECT_EQ(forth.first, "c");
  EXPECT_EQ(page("&dir=f&from=" + forth.second).first, "d");
  const auto back = page("&dir=b&from=" + since);
  EXPECT_EQ(back.first, "b");
  EXPECT_EQ(page("&dir=b&from=" + back.second).first, "a");
}

TEST_F(HomeserverTest, MembershipFollowsTheRules) {
  const std::string alice = join_token("alice");
  const std::string bob = join_token("bob");
  const std::string room = create_room(alice);
  const std::string target = R"({"user_id":"@bob:own"})";
  EXPECT_EQ(call("POST", rooms(room, "/join"), bob).status, 403);
  EXPECT_EQ(call("POST", rooms(room, "/kick"), alice, target).status, 403);
  EXPECT_EQ(call("POST", rooms(room, "/invite"), alice, target).status, 200);
  EXPECT_EQ(call("POST", rooms(room, "/join"), bob).status, 200);
  EXPECT_EQ(call("POST", rooms(room, "/join"), bob).status, 200);
  EXPECT_EQ(call("POST", rooms(room, "/forget"), bob).status, 400);
  EXPECT_EQ(call("POST", rooms(room, "/ban"), bob, R"({"user_id":"@alice:own"})").status, 403);
  EXPECT_EQ(call("POST", rooms(room, "/ban"), alice, target).status, 200);
  EXPECT_EQ(call("POST", rooms(room, "/join"), bob).status, 403);
  EXPECT_EQ(call("POST", rooms(room, "/unban"), alice, target).status, 200);
  EXPECT_EQ(call("POST", rooms(room, "/unban"), alice, target).status, 403);
  EXPECT_EQ(call("POST", rooms(room, "/forget"), bob).status, 200);
  EXPECT_EQ(call("GET", "/_matrix/client/v3/joined_rooms", bob).text({"joined_rooms"}), "[]");
}

TEST_F(HomeserverTest, AliasesProfilesAndAccountData) {
  const std::string alice = join_token("alice");
  const std::string bob = join_token("bob");
  const std::string room =
      create_room(alice, R"({"preset":"public_chat","room_alias_name":"lobby"})");
  EXPECT_EQ(call("POST", "/_matrix/client/v3/createRoom", bob, R"({"room_alias_name":"lobby"})")
                .text({"errcode"}),
            "M_ROOM_IN_USE");
  EXPECT_EQ(call("POST", "/_matrix/client/v3/join/%23lobby:own", bob).text({"room_id"}), room);
  EXPECT_EQ(call("GET", "/_matrix/client/v3/directory/room/%23none:own").status, 404);
  const std::string profile = "/_matrix/client/v3/profile/@alice:own";
  EXPECT_EQ(call("PUT", profile + "/displayname", alice, R"({"displayname":"Alice"})").status, 200);
  EXPECT_EQ(call("PUT", profile + "/displayname", bob, R"({"displayname":"x"})").status, 403);
  EXPECT_EQ(call("GET", profile).text({"displayname"}), "Alice");
  // Anybody may ask, also for users of servers that cannot be reached.
  EXPECT_EQ(call("GET", "/_matrix/client/v3/profile/@bob:elsewhere").status, 502);
  EXPECT_EQ(call("GET", rooms(room, "/state/m.room.member/@alice:own"), bob).text({"displayname"}),
            "Alice");
  const std::string data = "/_matrix/client/v3/user/@alice:own/account_data/m.direct";
  EXPECT_EQ(call("GET", data, alice).status, 404);
  EXPECT_EQ(call("PUT", data, alice, R"({"@bob:own":["!x"]})").status, 200);
  EXPECT_EQ(call("GET", data, bob).status, 403);
  EXPECT_NE(call("GET", "/_matrix/client/v3/sync", alice)
                .text({"account_data", "events"})
                .find("m.direct"),
            std::string::npos);
}

TEST_F(HomeserverTest, EveryRouteIsOfTheListenersThatItsPathSays) {
  const std::vector<std::pair<std::string_view, http::Resource>> paths = {
      {"/_synapse/", http::Resource::kAdmin},
      {"/_matrix/federation/", http::Resource::kFederation},
      {"/_matrix/key/", http::Resource::kFederation},
      {"/_matrix/media/", http::Resource::kMedia},
      {"/_matrix/client/v1/media/", http::Resource::kMedia},
      {"/_matrix/client/", http::Resource::kClient},
  };
  for (const http::Route* route : homeserver_->router().routes()) {
    const auto path = std::ranges::find_if(
        paths, [&](const auto& known) { return route->path.starts_with(known.first); });
    if (path != paths.end()) EXPECT_EQ(route->resource, path->second) << route->path;
  }
  http::Exchange exchange;
  exchange.served.set();
  exchange.served.reset(static_cast<size_t>(http::Resource::kAdmin));
  exchange.request.method = http::Method::kGet;
  exchange.request.path = "/_synapse/admin/v1/register";
  int status = 0;
  runtime::spawn(*runtime_, runtime_->shard(0), "request",
                 [](const http::Router& router, http::Exchange& asked, int& got) -> Task<void> {
                   got = (co_await router.handle(asked)).status;
                 }(homeserver_->router(), exchange, status));
  EXPECT_TRUE(simulation_->run_until([&] { return status != 0; }, Millis(1000)));
  EXPECT_EQ(status, 404);
}

TEST_F(HomeserverTest, TheSharedSecretRegistersOnceForANonce) {
  const std::string path = "/_synapse/admin/v1/register";
  const std::string nonce = call("GET", path).text({"nonce"});
  const std::string mac =
      crypto::hmac_sha1_hex("secret", nonce + '\0' + "root" + '\0' + "pw" + '\0' + "admin");
  const auto body = [&](const std::string& with) {
    return R"({"nonce":")" + nonce + R"(","username":"root","password":"pw","admin":true,"mac":")" +
           with + "\"}";
  };
  // Whoever asks for others, or guesses, takes it from nobody.
  for (int i = 0; i < 1001; ++i)
    EXPECT_EQ(call("GET", path).status, 200);
  EXPECT_EQ(call("POST", path, "", body("guess")).status, 403);
  EXPECT_EQ(call("POST", path, "", body(mac)).text({"user_id"}), "@root:own");
  EXPECT_EQ(call("POST", path, "", body(mac)).text({"error"}), "unrecognised nonce");
}

TEST_F(HomeserverTest, ANonceIsGoodForMinutesAndOnlyWhereItWasMade) {
  const std::string path = "/_synapse/admin/v1/register";
  const auto use = [&](std::string nonce) {
    const std::string mac =
        crypto::hmac_sha1_hex("secret", nonce + '\0' + "eve" + '\0' + "pw" + '\0' + "notadmin");
    return call("POST", path, "",
                R"({"nonce":")" + nonce + R"(","username":"eve","password":"pw","mac":")" + mac +
                    "\"}")
        .text({"error"});
  };
  const std::string old = call("GET", path).text({"nonce"});
  simulation_->run_for(Millis(301'000));
  EXPECT_EQ(use(old), "unrecognised nonce");
  std::string forged = call("GET", path).text({"nonce"});
  forged[10] = forged[10] == '1' ? '2' : '1';
  EXPECT_EQ(use(forged), "unrecognised nonce");
  EXPECT_EQ(use(""), "unrecognised nonce");
}

}  // namespace
}  // namespace polder::server
