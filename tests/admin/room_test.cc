// What administrators do to rooms while the server runs.
#include <map>

#include "homeserver/server/testing/homeserver.h"
#include "storage/stores/audit/audit_rows.h"
#include "storage/stores/check/check.h"

namespace polder::server {
namespace {

class AdminTest : public HomeserverTest {
 protected:
  static std::string history(const std::string& room) {
    return "/_synapse/admin/v1/purge_history/" + room;
  }
  std::string said(const std::string& token, const std::string& room, const std::string& text) {
    return say(token, room, text, std::to_string(++transactions_)).text({"event_id"});
  }
  std::string status_of(const std::string& purge) {
    return call("GET", "/_synapse/admin/v1/purge_history_status/" + purge, admin_).text({"status"});
  }
  void purge(const std::string& room, const std::string& body) {
    const Answer begun = call("POST", history(room), admin_, body);
    ASSERT_EQ(begun.status, 200) << begun.text({"error"});
    simulation_->run_for(Millis(10'000));
    EXPECT_EQ(status_of(begun.text({"purge_id"})), "complete");
  }
  std::string paged(const std::string& token, const std::string& room) {
    const Answer page = call("GET", rooms(room, "/messages?dir=b&limit=100"), token);
    EXPECT_EQ(page.text({"end"}), "");
    std::string all;
    for (const json::Value& event : *page.body.as_object()->find_array("chunk")) {
      if (const json::Value* body = json::at(*event.as_object(), {"content", "body"}))
        all += *body->as_string() + ";";
    }
    return all;
  }
  void check() {
    EXPECT_EQ(stores::check_database(*database_->snapshot())->faults, std::vector<std::string>{});
  }

  const std::string admin_ = admin_token();
  int transactions_ = 0;
};

TEST_F(AdminTest, OnlyAdministratorsPurge) {
  const std::string alice = join_token("alice");
  const std::string room = create_room(alice);
  const std::string body = R"({"purge_up_to_ts":1})";
  for (const auto& [method, path] : std::vector<std::pair<std::string, std::string>>{
           {"POST", history(room)},
           {"POST", history(room) + "/$x"},
           {"GET", "/_synapse/admin/v1/purge_history_status/x"},
           {"DELETE", "/_synapse/admin/v2/rooms/" + room},
           {"GET", "/_synapse/admin/v2/rooms/" + room + "/delete_status"},
           {"GET", "/_synapse/admin/v2/rooms/delete_status/x"}}) {
    EXPECT_EQ(call(method, path, alice, body).status, 403) << path;
    EXPECT_EQ(call(method, path, "", body).status, 401) << path;
  }
}

TEST_F(AdminTest, PurgedHistoryIsNowhereToBeFound) {
  const std::string alice = join_token("alice");
  const std::string bob = join_token("bob");
  const std::string room = create_room(alice, R"({"preset":"public_chat","topic":"T"})");
  call("POST", rooms(room, "/join"), bob);
  const std::string old_since = sync(bob).text({"next_batch"});
  const std::string root = said(alice, room, "old");
  call("PUT", rooms(room, "/send/m.room.message/t"), alice,
       R"({"body":"reply","m.relates_to":{"rel_type":"m.thread","event_id":")" + root + "\"}}");
  call("POST", rooms(room, "/receipt/m.read/" + root), bob, "{}");
  call("PUT", rooms(room, "/send/m.room.message/m"), alice,
       R"({"body":"bob","m.mentions":{"user_ids":["@bob:own"]}})");
  simulation_->run_for(Millis(10));
  const std::string point = said(alice, room, "kept");
  said(alice, room, "new");
  purge(room, R"({"delete_local_events":true,"purge_up_to_event_id":")" + point + "\"}");
  EXPECT_EQ(call("GET", rooms(room, "/event/" + root), alice).status, 404);
  EXPECT_EQ(call("GET", rooms(room, "/context/" + root), alice).status, 404);
  const std::string v1 = "/_matrix/client/v1/rooms/" + room;
  EXPECT_EQ(call("GET", v1 + "/relations/" + root, alice).status, 404);
  EXPECT_EQ(call("GET", v1 + "/threads", alice).text({"chunk"}), "[]");
  EXPECT_EQ(call("GET", v1 + "/timestamp_to_event?ts=0&dir=f", alice).text({"event_id"}), point);
  EXPECT_EQ(paged(alice, room), "new;kept;");
  EXPECT_EQ(call("GET", rooms(room, "/context/" + point), alice).text({"events_before"}), "[]");
  EXPECT_EQ(call("GET", rooms(room, "/state/m.room.topic"), bob).text({"topic"}), "T");
  // Only what is there is unread; a client that was away learns that there is a gap.
  const Answer synced = sync(bob, old_since);
  EXPECT_EQ(bodies(synced, room), "kept;new;");
  EXPECT_EQ(synced.text({"rooms", "join", room, "timeline", "limited"}), "true");
  EXPECT_EQ(synced.text({"rooms", "join", room, "unread_notifications"}),
            R"({"highlight_count":0,"notification_count":2})");
  EXPECT_EQ(sync(bob).text({"rooms", "join", room, "unread_notifications"}),
            R"({"highlight_count":0,"notification_count":2})");
  check();
}

TEST_F(AdminTest, HistoryIsPurgedUpToATime) {
  const std::string alice = join_token("alice");
  const std::string room = create_room(alice);
  said(alice, room, "old");
  simulation_->run_for(Millis(1000));
  said(alice, room, "last before");
  const std::string time = std::to_string(runtime_->clock().wall_ms());
  simulation_->run_for(Millis(1000));
  said(alice, room, "new");
  purge(room, R"({"delete_local_events":true,"purge_up_to_ts":)" + time + "}");
  EXPECT_EQ(paged(alice, room), "new;last before;");
  // What this server's users said stays in the database unless it is to go, but unseen.
  simulation_->run_for(Millis(1000));
  const std::string point = said(alice, room, "newest");
  EXPECT_EQ(call("POST", history(room) + "/" + point, admin_, "{}").status, 200);
  EXPECT_EQ(paged(alice, room), "newest;");
  simulation_->run_for(Millis(10'000));
  EXPECT_EQ(paged(alice, room), "newest;");
  check();
}

TEST_F(AdminTest, APurgeNeedsAPoint) {
  const std::string alice = join_token("alice");
  const std::string room = create_room(alice);
  EXPECT_EQ(call("POST", history(room), admin_, "{}").text({"errcode"}), "M_BAD_JSON");
  EXPECT_EQ(call("POST", history(room), admin_, "x").text({"errcode"}), "M_NOT_JSON");
  EXPECT_EQ(call("POST", history(room), admin_, R"({"purge_up_to_ts":1})").status, 404);
  EXPECT_EQ(call("POST", history("!none:own") + "/$x", admin_, "{}").status, 404);
  for (const std::string id : {"x", "1.x", "99.!none:own"})
    EXPECT_EQ(call("GET", "/_synapse/admin/v1/purge_history_status/" + id, admin_).status, 404);
}

TEST_F(AdminTest, ADeletedRoomIsLeftByAllAndGone) {
  ASSERT_TRUE(homeserver_->start().ok());  // the sender reads what is to be erased
  const std::string alice = join_token("alice");
  const std::string bob = join_token("bob");
  const std::string carol = join_token("carol");
  const std::string room =
      create_room(alice, R"({"preset":"public_chat","invite":["@carol:own"]})");
  call("POST", rooms(room, "/join"), bob);
  said(alice, room, "x");
  const std::string path = "/_synapse/admin/v2/rooms/" + room;
  EXPECT_EQ(call("DELETE", path, admin_, R"({"block":true})").text({"errcode"}), "M_INVALID_PARAM");
  EXPECT_EQ(call("GET", path + "/delete_status", admin_).status, 404);
  const Answer begun = call("DELETE", path, admin_, R"({"purge":true})");
  ASSERT_EQ(begun.status, 200);
  simulation_->run_for(Millis(10'000));
  const Answer told =
      call("GET", "/_synapse/admin/v2/rooms/delete_status/" + begun.text({"delete_id"}), admin_);
  EXPECT_EQ(told.text({"status"}), "complete") << told.text({"error"});
  EXPECT_EQ(told.text({"shutdown_room", "failed_to_kick_users"}), "[]");
  EXPECT_NE(told.text({"shutdown_room", "kicked_users"}).find("@carol:own"), std::string::npos);
  EXPECT_NE(call("GET", path + "/delete_status", admin_).text({"results"}), "");
  for (const std::string& token : {alice, bob, carol}) {
    EXPECT_EQ(call("GET", rooms(room, "/state"), token).status, 403);
    EXPECT_EQ(sync(token).text({"rooms"}), R"({"invite":{},"join":{},"knock":{},"leave":{}})");
  }
  EXPECT_EQ(call("DELETE", path, admin_, "{}").status, 404);
  check();
}

// Clients show a room until they are told that it was left.
TEST_F(AdminTest, WhoHadADeletedRoomIsToldThatTheyLeftIt) {
  ASSERT_TRUE(homeserver_->start().ok());  // the sender reads what is to be erased
  std::map<std::string, std::string> tokens, since;
  for (const char* name : {"alice", "bob", "carol", "dave", "erin", "frank", "gina"})
    tokens[name] = join_token(name);
  const std::string room = create_room(
      tokens["alice"],
      R"({"invite":["@bob:own","@carol:own","@erin:own","@frank:own","@gina:own"],"initial_state":[{
          "type":"m.room.join_rules","content":{"join_rule":"knock"}}]})");
  for (const char* name : {"bob", "erin", "frank", "gina"})
    act(tokens[name], room, "join");
  EXPECT_EQ(call("POST", "/_matrix/client/v3/knock/" + room, tokens["dave"], "{}").status, 200);
  act(tokens["gina"], room, "leave");
  for (const auto& [name, token] : tokens)
    since[name] = sync(token).text({"next_batch"});
  act(tokens["erin"], room, "leave");
  act(tokens["alice"], room, "ban", "frank");
  call("DELETE", "/_synapse/admin/v2/rooms/" + room, admin_, "{}");
  // Who waits meanwhile hears of the others, and then that they are out themselves.
  bool told = false;
  std::string at = since["bob"];
  for (int i = 0; i < 20 && !told; ++i) {
    const Answer answer =
        call("GET", "/_matrix/client/v3/sync?timeout=30000&since=" + at, tokens["bob"]);
    told = answer.text({"rooms", "leave", room}) != "";
    at = answer.text({"next_batch"});
  }
  EXPECT_TRUE(told);
  simulation_->run_for(Millis(10'000));
  crash();
  for (const auto& [name, token] : tokens) {
    const Answer late = sync(token, since[name]);
    EXPECT_EQ(late.text({"rooms", "leave", room}) != "", name != "gina") << name;
    const std::string timeline = late.text({"rooms", "leave", room, "timeline", "events"});
    EXPECT_EQ(timeline.find("@" + name + ":own") != std::string::npos, name != "gina") << timeline;
    for (const char* section : {"join", "invite", "knock"})
      EXPECT_EQ(late.text({"rooms", section, room}), "") << name;
    EXPECT_EQ(sync(token, late.text({"next_batch"})).text({"rooms", "leave", room}), "") << name;
    const Answer first = sync(token, "", R"({"room":{"include_leave":true}})");
    EXPECT_EQ(first.text({"rooms", "leave", room}), "") << name;
  }
  check();
}

// Also if history is purged beyond the point at which they left.
TEST_F(AdminTest, WhoLeftBeforeAPurgeOfHistoryIsTold) {
  const std::string alice = join_token("alice");
  const std::string bob = join_token("bob");
  const std::string room = create_room(alice, R"({"preset":"public_chat"})");
  act(bob, room, "join");
  const std::string since = sync(bob).text({"next_batch"});
  act(bob, room, "leave");
  const std::string point = said(alice, room, "kept");
  purge(room, R"({"delete_local_events":true,"purge_up_to_event_id":")" + point + "\"}");
  EXPECT_NE(sync(bob, since).text({"rooms", "leave", room}), "");
}

// Each is in the batch of what it tells of.
TEST_F(AdminTest, PurgesAndWhatTheyDoToUsersAreOnRecord) {
  ASSERT_TRUE(homeserver_->start().ok());
  const std::string alice = join_token("alice");
  const std::string room = create_room(alice, R"({"invite":["@bob:own"]})");
  join_token("bob");
  const std::string point = said(alice, room, "kept");
  purge(room, R"({"purge_up_to_event_id":")" + point + "\"}");
  call("DELETE", "/_synapse/admin/v2/rooms/" + room, admin_, "{}");
  simulation_->run_for(Millis(10'000));
  std::vector<std::string> acts;
  const auto records = *stores::read_audit(*database_->snapshot(), 0, 100);
  for (const stores::AuditRecord& record : records) {
    EXPECT_EQ(record.room, room);
    EXPECT_EQ(record.actor_kind, "administrator");
    EXPECT_EQ(record.actor, "@root:own");
    EXPECT_TRUE(record.permitted);
    acts.push_back(record.act + " " + record.target);
  }
  EXPECT_EQ(acts, (std::vector<std::string>{"purge " + point, "leave @bob:own", "leave @alice:own",
                                            "purge "}));
}

}  // namespace
}  // namespace polder::server
