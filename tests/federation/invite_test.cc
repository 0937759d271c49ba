#include "federation/server/testing/server.h"

namespace polder::federation_server {
namespace {

// A room of bob's, which this server is not in.
class InviteTest : public ServerTest {
 protected:
  struct Room {
    const events::RoomVersionRules* rules = nullptr;
    events::EventPtr create;
    RoomId id;
  };
  events::EventPtr make(const events::RoomVersionRules& rules, events::EventDraft draft,
                        const ServerName& signer) {
    draft.origin_server_ts = ++made_;
    json::Object pdu = events::make_pdu(draft, rules, "opaque" + std::to_string(made_));
    events::hash_and_sign(pdu, rules, signer, key_of(signer));
    const auto event = events::Event::parse(std::move(pdu), rules);
    EXPECT_TRUE(event.ok()) << event.error().message;
    return *event;
  }
  Room foreign_room(std::string_view version) {
    Room room;
    room.rules = events::find_room_version(version);
    events::EventDraft draft;
    if (!room.rules->room_id_is_create_hash)
      draft.room_id = RoomId::trusted("!r" + std::to_string(++made_) + ":other.example");
    draft.sender = bob_;
    draft.type = "m.room.create";
    draft.state_key = "";
    draft.content = {{"room_version", version}};
    room.create = make(*room.rules, std::move(draft), other_);
    room.id = room.create->room_id();
    return room;
  }
  events::EventPtr event_of(const Room& room, events::EventDraft draft) {
    draft.room_id = room.id;
    if (draft.sender.empty()) draft.sender = bob_;
    draft.depth = 2;
    draft.prev_events = {room.create->id()};
    return make(*room.rules, std::move(draft), other_);
  }
  events::EventPtr invite(const Room& room, std::string_view user = "@alice:own.example",
                          std::string_view membership = "invite") {
    events::EventDraft draft;
    draft.type = "m.room.member";
    draft.state_key = std::string(user);
    draft.content = {{"membership", membership}};
    return event_of(room, std::move(draft));
  }
  Answer submit(const Room& room, const events::Event& event, json::Value state) {
    json::Object body{{"room_version", room.rules->id}, {"event", event.object()}};
    if (!state.is_null()) body.set("invite_room_state", std::move(state));
    return put(path("/_matrix/federation/v2/invite", {room.id.view(), event.id().view()}), body);
  }
  // Of what was asked of alice, by a user of any server.
  events::EventPtr end(const Room& room, const events::Event& asked, const UserId& by,
                       std::string_view membership = "leave") {
    events::EventDraft draft;
    draft.room_id = room.id;
    draft.sender = by;
    draft.type = "m.room.member";
    draft.state_key = alice_.str();
    draft.content = {{"membership", membership}};
    draft.depth = 3;
    draft.prev_events = {room.create->id()};
    draft.auth_events = {room.create->id(), asked.id()};
    return make(*room.rules, std::move(draft), ServerName::trusted(std::string(by.server())));
  }
  void send_from(const ServerName& origin, const events::Event& event) {
    send("PUT", "/_matrix/federation/v1/send/t" + std::to_string(++transactions_),
         {{"pdus", json::Array{event.object()}}}, origin);
  }
  std::string shown(const RoomId& room) {
    const auto user = *names_->find(stores::NameKind::kUser, alice_.view());
    const auto number = *names_->find(stores::NameKind::kRoom, room.view());
    return (*stores::read_membership(*database_->snapshot(), *user, *number))->stripped_state;
  }

  const UserId bobby_ = UserId::trusted("@bobby:other.example");
  int made_ = 0;
};

TEST_F(InviteTest, AnInviteIsSignedAndShown) {
  for (const char* version : {"1", "2", "6", "11", "12"}) {
    const Room room = foreign_room(version);
    const auto event = invite(room);
    const Answer answer = submit(room, *event, json::Array{room.create->object()});
    ASSERT_EQ(answer.status, 200) << version << answer.text();
    const json::Object& pdu = *answer.at({"event"})->as_object();
    EXPECT_TRUE(events::verify_json(events::redact(pdu, *room.rules), own_.view(), key_.id(),
                                    key_.verify_key()));
    // "All other fields of the events should remain untouched."
    json::Object rest = pdu;
    rest.find("signatures")->as_object()->erase(own_.view());
    EXPECT_EQ(rest, event->object());
    EXPECT_EQ(membership_of(room.id, alice_), stores::Membership::kInvite);
    EXPECT_NE(shown(room.id).find("m.room.create"), std::string::npos);
    EXPECT_EQ(shown(room.id).find("signatures"), std::string::npos);
  }
}

TEST_F(InviteTest, VersionOneOfTheEndpointIsOfTheOldestRooms) {
  const Room room = foreign_room("1");
  const auto event = invite(room);
  json::Object body = event->object();
  body.set("unsigned",
           json::object({{"invite_room_state",
                          json::Array{json::object({{"type", "m.room.name"},
                                                    {"state_key", ""},
                                                    {"sender", bob_.str()},
                                                    {"content", json::object({{"name", "N"}})}}),
                                      "nonsense"}}}));
  const Answer answer =
      put(path("/_matrix/federation/v1/invite", {room.id.view(), event->id().view()}), body);
  ASSERT_EQ(answer.status, 200) << answer.text();
  EXPECT_EQ((*answer.body.as_array())[0], json::Value(200));
  EXPECT_TRUE((*answer.body.as_array())[1].as_object()->contains("event"));
  EXPECT_NE(shown(room.id).find("m.room.name"), std::string::npos);
  EXPECT_EQ(shown(room.id).find("nonsense"), std::string::npos);
}

// GHSA-22fw-4jq7-g8r8: an endpoint that signs what it did not look at signs anything.
TEST_F(InviteTest, NothingButARightInviteIsSigned) {
  const Room room = foreign_room("11");
  const Room elsewhere = foreign_room("11");
  const auto good = invite(room);
  json::Object unsigned_pdu = good->object();
  unsigned_pdu.set("signatures", json::Object());
  json::Object wrong_hash = good->object();
  wrong_hash.find("content")->as_object()->set("displayname", "x");
  json::Object forged = good->object();
  forged.set("origin_server_ts", 99);
  events::EventDraft message;
  message.type = "m.room.message";
  events::EventDraft by_carol;
  by_carol.sender = carol_;
  by_carol.type = "m.room.member";
  by_carol.state_key = alice_.str();
  by_carol.content = {{"membership", "invite"}};
  struct Case {
    std::string_view what;
    json::Object pdu;
    int status = 400;
    std::string_view errcode = "M_INVALID_PARAM";
  };
  const std::vector<Case> cases = {
      {"unsigned", unsigned_pdu},
      {"changed after it was hashed", wrong_hash},
      {"changed after it was signed", forged},
      {"another room", invite(elsewhere)->object()},
      {"a message", event_of(room, message)->object()},
      {"a leave", invite(room, alice_.view(), "leave")->object()},
      {"a join", invite(room, alice_.view(), "join")->object()},
      {"a user of another server", invite(room, carol_.view())->object()},
      {"what is no user", invite(room, "nonsense")->object()},
      {"nobody", invite(room, "@nobody:own.example")->object(), 404, "M_NOT_FOUND"},
      {"a sender of another server", event_of(room, by_carol)->object()},
  };
  for (const Case& item : cases) {
    runtime_.lines.clear();
    const auto event = *events::Event::parse(item.pdu, *room.rules);
    const Answer answer = submit(room, *event, json::Array{room.create->object()});
    EXPECT_EQ(answer.status, item.status) << item.what << answer.text();
    EXPECT_EQ(answer.errcode(), item.errcode) << item.what;
    EXPECT_EQ(answer.text().find("signatures"), std::string::npos) << item.what;
    EXPECT_EQ(logged("federation_request_refused"), 1u) << item.what;
    EXPECT_EQ(membership_of(room.id, alice_), stores::Membership::kNone) << item.what;
  }
  const auto to = [&](std::string_view room_id, std::string_view id, std::string_view version) {
    return put(path("/_matrix/federation/v2/invite", {room_id, id}),
               {{"room_version", version}, {"event", good->object()}});
  };
  EXPECT_EQ(to(room.id.view(), "$another", "11").errcode(), "M_INVALID_PARAM");
  EXPECT_EQ(to(elsewhere.id.view(), good->id().view(), "11").errcode(), "M_INVALID_PARAM");
  const Answer unknown = to(room.id.view(), good->id().view(), "hypothetical");
  EXPECT_EQ(unknown.errcode(), "M_INCOMPATIBLE_ROOM_VERSION");
  EXPECT_EQ(*unknown.at({"room_version"})->as_string(), "hypothetical");
  EXPECT_EQ(put(path("/_matrix/federation/v2/invite", {room.id.view(), "$x"}), {}).errcode(),
            "M_MISSING_PARAM");
}

// MSC4311, and
// https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv2inviteroomideventid
TEST_F(InviteTest, WhatDescribesARoomOfTodayIsVerified) {
  const Room room = foreign_room("12");
  const Room elsewhere = foreign_room("11");
  events::EventDraft name;
  name.type = "m.room.name";
  name.state_key = "";
  name.content = {{"name", "N"}};
  const auto named = event_of(room, name);
  json::Object forged = named->object();
  forged.set("origin_server_ts", 99);
  json::Object wrong_hash = named->object();
  wrong_hash.find("content")->as_object()->set("name", "another");
  events::EventDraft message;
  message.type = "m.room.message";
  const json::Value create = room.create->object();
  struct Case {
    std::string_view what;
    json::Value state;
    std::string_view errcode = "M_INVALID_PARAM";
  };
  const std::vector<Case> cases = {
      {"none", nullptr},
      {"empty", json::Array()},
      {"no list", "nonsense", "M_BAD_JSON"},
      {"no create event", json::Array{named->object()}},
      {"stripped state", json::Array{create, json::object({{"type", "m.room.name"},
                                                           {"state_key", ""},
                                                           {"sender", bob_.str()},
                                                           {"content", json::Object()}})}},
      {"no object", json::Array{create, "nonsense"}},
      {"a forged event", json::Array{create, forged}},
      {"an event with a wrong hash", json::Array{create, wrong_hash}},
      {"an event that is no state", json::Array{create, event_of(room, message)->object()}},
      {"the create event of another room", json::Array{elsewhere.create->object()}},
  };
  for (const Case& item : cases) {
    const Answer answer = submit(room, *invite(room), item.state);
    EXPECT_EQ(answer.status, 400) << item.what << answer.text();
    EXPECT_EQ(answer.errcode(), item.errcode) << item.what;
    EXPECT_EQ(membership_of(room.id, alice_), stores::Membership::kNone) << item.what;
  }
  EXPECT_EQ(submit(room, *invite(room), json::Array(51, create)).errcode(), "M_TOO_LARGE");
  EXPECT_EQ(submit(room, *invite(room), json::Array{create, named->object()}).status, 200);
  EXPECT_NE(shown(room.id).find("m.room.name"), std::string::npos);
}

TEST_F(InviteTest, OnlyWhoInvitedTakesItBack) {
  const Room room = foreign_room("11");
  events::EventDraft named;
  named.sender = bobby_;
  named.type = "m.room.name";
  named.state_key = "";
  named.content = {{"name", "Far"}};
  const json::Array state = {room.create->object(), event_of(room, named)->object()};
  const auto old = invite(room);
  ASSERT_EQ(submit(room, *old, state).status, 200);
  ASSERT_EQ(submit(room, *end(room, *old, bob_), state).status, 400) << "no invite";
  const auto asked = invite(room);
  ASSERT_EQ(submit(room, *asked, state).status, 200);
  struct Case {
    std::string_view what;
    events::EventPtr event;
    ServerName origin;
  };
  json::Object forged = end(room, *asked, bob_)->object();
  forged.set("origin_server_ts", 99);
  for (const Case& c : std::vector<Case>{
           {"a server that has nothing to do with it", end(room, *asked, carol_), third_},
           {"passed on by another server", end(room, *asked, bob_), third_},
           {"another user of the server", end(room, *asked, bobby_), other_},
           {"an end of an older invite", end(room, *old, bob_), other_},
           {"signed over another content", *events::Event::parse(forged, *room.rules), other_},
           {"no end", end(room, *asked, bob_, "join"), other_}}) {
    send_from(c.origin, *c.event);
    EXPECT_EQ(membership_of(room.id, alice_), stores::Membership::kInvite) << c.what;
  }
  send_from(other_, *end(room, *asked, bob_));
  EXPECT_EQ(membership_of(room.id, alice_), stores::Membership::kLeave);
  EXPECT_NE(shown(room.id).find("\"leave\""), std::string::npos);
  const auto again = invite(room);
  ASSERT_EQ(submit(room, *again, state).status, 200);
  send_from(other_, *end(room, *asked, bob_));
  EXPECT_EQ(membership_of(room.id, alice_), stores::Membership::kInvite) << "ended already";
  send_from(other_, *end(room, *again, bob_, "ban"));
  EXPECT_EQ(membership_of(room.id, alice_), stores::Membership::kBan);
}

// Who may refuse it is not known here.
TEST_F(InviteTest, AServerThatTheKnockWasToldOfRefusesIt) {
  const Room room = foreign_room("11");
  events::EventDraft draft;
  draft.sender = alice_;
  draft.type = "m.room.member";
  draft.state_key = alice_.str();
  draft.content = {{"membership", "knock"}};
  draft.room_id = room.id;
  draft.prev_events = {room.create->id()};
  const auto knock = make(*room.rules, draft, own_);
  ASSERT_TRUE(
      run(engine_.writer.store_outside_membership(*room.rules, knock, {room.create->object()}))
          .ok());
  send_from(third_, *end(room, *knock, carol_));
  EXPECT_EQ(membership_of(room.id, alice_), stores::Membership::kKnock);
  send_from(other_, *end(room, *room.create, bobby_));
  EXPECT_EQ(membership_of(room.id, alice_), stores::Membership::kKnock);
  send_from(other_, *end(room, *knock, bobby_));
  EXPECT_EQ(membership_of(room.id, alice_), stores::Membership::kLeave);
}

TEST_F(InviteTest, ARoomThatThisServerIsInHasItsSay) {
  const RoomId room = create("11", {{"join_rule", "public"}});
  join(room, bob_);
  users::NewAccount account;
  account.localpart = "dora";
  const UserId dora = *run(accounts_.register_user(account));
  const auto event = remote(room, {.sender = bob_,
                                   .type = "m.room.member",
                                   .state_key = dora.str(),
                                   .content = {{"membership", "invite"}}});
  const auto submit_here = [&] {
    return put(path("/_matrix/federation/v2/invite", {room.view(), event->id().view()}),
               {{"room_version", "11"}, {"event", event->object()}});
  };
  EXPECT_EQ(submit_here().status, 200);
  set_state(room, "m.room.power_levels", "",
            {{"users", json::object({{alice_.str(), 100}})}, {"invite", 50}});
  EXPECT_EQ(submit_here().errcode(), "M_FORBIDDEN");
  set_state(room, "m.room.power_levels", "", {{"users", json::object({{alice_.str(), 100}})}});
  EXPECT_EQ(submit_here().status, 200);
  set_state(room, "m.room.server_acl", "", {{"allow", json::Array{"own.example"}}});
  EXPECT_EQ(submit_here().errcode(), "M_FORBIDDEN");
  EXPECT_EQ(membership_of(room, dora), stores::Membership::kNone);
}

}  // namespace
}  // namespace polder::federation_server
