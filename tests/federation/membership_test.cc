#include "federation/server/testing/server.h"
#include "storage/stores/federation/federation_rows.h"

namespace polder::federation_server {
namespace {

class MembershipTest : public ServerTest {
 protected:
  Answer make(std::string_view what, const RoomId& room, const UserId& user,
              std::string_view version = "12") {
    const std::string target =
        path("/_matrix/federation/v1/make_" + std::string(what), {room.view(), user.view()});
    return get(target + "?ver=" + std::string(version));
  }
  // The template, completed by the other server.
  json::Object complete(const Answer& made, std::string_view version) {
    json::Object pdu = *made.at({"event"})->as_object();
    events::hash_and_sign(pdu, *events::find_room_version(version), other_, other_key_);
    return pdu;
  }
  Answer submit(std::string_view endpoint, const RoomId& room, const json::Object& pdu,
                std::string_view version) {
    const auto event = events::Event::parse(pdu, *events::find_room_version(version));
    EXPECT_TRUE(event.ok()) << event.error().message;
    return put(
        path("/_matrix/federation/" + std::string(endpoint), {room.view(), (*event)->id().view()}),
        pdu);
  }
  Answer submit(std::string_view endpoint, const events::EventPtr& event) {
    return submit(endpoint, event->room_id(), event->object(), event->rules().id);
  }
  bool will_forward(const EventId& event) {
    return *stores::is_forward(*database_->snapshot(), event);
  }
};

TEST_F(MembershipTest, AUserOfAnotherServerJoinsRoomsOfAllVersions) {
  for (const char* version : {"1", "2", "3", "6", "9", "10", "11", "12"}) {
    const RoomId room = create(version);
    const Answer made = make("join", room, bob_, version);
    ASSERT_EQ(made.status, 200) << version << made.text();
    EXPECT_EQ(*made.at({"room_version"})->as_string(), version);
    EXPECT_FALSE(made.at({"event"})->as_object()->contains("signatures"));
    const json::Object pdu = complete(made, version);
    const Answer sent = submit("v2/send_join", room, pdu, version);
    ASSERT_EQ(sent.status, 200) << version << sent.text();
    EXPECT_EQ(joined(room), 2u);
    // The state before the join: create, alice, levels, rules. All of it authorises the join.
    EXPECT_EQ(sent.list("state").size(), 4u) << version;
    EXPECT_EQ(sent.list("auth_chain").size(), 0u) << version;
    const auto event = *events::Event::parse(pdu, *events::find_room_version(version));
    EXPECT_EQ(*sent.at({"event"}), json::Value(event->object()));
    EXPECT_TRUE(will_forward(event->id()));
    // Once more: the same answer, and nothing new.
    EXPECT_EQ(submit("v2/send_join", room, pdu, version).text(), sent.text());
    EXPECT_EQ(joined(room), 2u);
  }
}

TEST_F(MembershipTest, VersionOneOfTheEndpointWrapsItsAnswer) {
  const RoomId room = create("1");
  const Answer sent = submit("v1/send_join", membership(room, bob_, "join"));
  ASSERT_EQ(sent.status, 200) << sent.text();
  ASSERT_NE(sent.body.as_array(), nullptr);
  ASSERT_EQ(sent.body.as_array()->size(), 2u);
  EXPECT_EQ((*sent.body.as_array())[0], json::Value(200));
  EXPECT_NE((*sent.body.as_array())[1].as_object()->find_array("state"), nullptr);
  const Answer left = submit("v1/send_leave", membership(room, bob_, "leave"));
  EXPECT_EQ(left.text(), "[200,{}]");
}

TEST_F(MembershipTest, TheTemplateIsForUsersAndVersionsOfTheAsker) {
  const RoomId room = create();
  EXPECT_EQ(make("join", room, carol_).errcode(), "M_FORBIDDEN");
  EXPECT_EQ(make("join", room, alice_).errcode(), "M_FORBIDDEN");
  EXPECT_EQ(make("join", RoomId::trusted("!none:own.example"), bob_).errcode(), "M_NOT_FOUND");
  const Answer other_version = make("join", room, bob_, "11");
  EXPECT_EQ(other_version.status, 400);
  EXPECT_EQ(other_version.errcode(), "M_INCOMPATIBLE_ROOM_VERSION");
  EXPECT_EQ(*other_version.at({"room_version"})->as_string(), "12");
  // "Defaults to [1]."
  const std::string target = path("/_matrix/federation/v1/make_join", {room.view(), bob_.view()});
  EXPECT_EQ(get(target).errcode(), "M_INCOMPATIBLE_ROOM_VERSION");
  EXPECT_EQ(get(target + "?ver=11&ver=12").status, 200);
  EXPECT_EQ(get(path("/_matrix/federation/v1/make_join", {"nonsense", bob_.view()})).status, 400);
  EXPECT_EQ(get(path("/_matrix/federation/v1/make_join", {room.view(), "nonsense"})).status, 400);
  EXPECT_EQ(joined(room), 1u);
}

TEST_F(MembershipTest, WhoMayNotJoinGetsNoTemplate) {
  const RoomId invite_only = create("12", {{"join_rule", "invite"}});
  EXPECT_EQ(make("join", invite_only, bob_).errcode(), "M_FORBIDDEN");
  set_state(invite_only, "m.room.member", bob_.str(), {{"membership", "invite"}});
  EXPECT_EQ(make("join", invite_only, bob_).status, 200);
  set_state(invite_only, "m.room.member", bob_.str(), {{"membership", "ban"}});
  EXPECT_EQ(make("join", invite_only, bob_).errcode(), "M_FORBIDDEN");
  EXPECT_EQ(make("leave", invite_only, bob_).errcode(), "M_FORBIDDEN");
}

TEST_F(MembershipTest, EventsThatAreNotWhatTheEndpointSaysChangeNothing) {
  const RoomId room = create();
  const RoomId elsewhere = create();
  const auto good = membership(room, bob_, "join");
  const auto signed_by_other = [&](std::string key, json::Value value) {
    return changed(*good, std::move(key), std::move(value));
  };
  json::Object unsigned_pdu = good->object();
  unsigned_pdu.set("signatures", json::Object());
  json::Object wrong_hash = good->object();
  wrong_hash.find("content")->as_object()->set("displayname", "x");
  json::Object extended = good->object();
  extended.set("origin_server_ts", 5);
  struct Case {
    std::string_view what;
    json::Object pdu;
  };
  const std::vector<Case> cases = {
      {"unsigned", unsigned_pdu},
      {"changed after it was hashed", wrong_hash},
      {"changed after it was signed", extended},
      {"another room", membership(elsewhere, bob_, "join")->object()},
      {"another type", signed_by_other("type", "m.room.message")->object()},
      {"no state",
       [&] {
         json::Object pdu = good->object();
         pdu.erase("state_key");
         events::hash_and_sign(pdu, good->rules(), other_, other_key_);
         return pdu;
       }()},
      {"another membership", membership(room, bob_, "leave")->object()},
      {"another user", signed_by_other("state_key", "@eve:other.example")->object()},
      {"a sender of another server", signed_by_other("sender", carol_.str())->object()},
      {"a local sender", signed_by_other("sender", alice_.str())->object()},
      {"unknown prev events", signed_by_other("prev_events", json::Array{"$none"})->object()},
      {"no prev events", signed_by_other("prev_events", json::Array())->object()},
      {"unknown auth events", signed_by_other("auth_events", json::Array{"$none"})->object()},
  };
  const kv::Position before = written();
  for (const Case& item : cases) {
    runtime_.lines.clear();
    const Answer answer = submit("v2/send_join", room, item.pdu, "12");
    EXPECT_EQ(answer.status, 400) << item.what << answer.text();
    EXPECT_EQ(answer.errcode(), "M_INVALID_PARAM") << item.what;
    EXPECT_EQ(logged("federation_request_refused"), 1u) << item.what;
  }
  EXPECT_EQ(written(), before);
  EXPECT_EQ(joined(room), 1u);
  const auto to = [&](const RoomId& id, std::string_view event) {
    return put(path("/_matrix/federation/v2/send_join", {id.view(), event}), good->object());
  };
  EXPECT_EQ(to(room, "$another").errcode(), "M_INVALID_PARAM");
  EXPECT_EQ(to(elsewhere, good->id().view()).errcode(), "M_INVALID_PARAM");
  EXPECT_EQ(to(RoomId::trusted("!" + std::string(43, 'a')), good->id().view()).errcode(),
            "M_NOT_FOUND");
  EXPECT_EQ(
      put(path("/_matrix/federation/v2/send_join", {room.view(), good->id().view()}), {}).errcode(),
      "M_INVALID_PARAM");
  EXPECT_EQ(written(), before);
}

TEST_F(MembershipTest, AnEventLargerThanEventsMayBeIsRefused) {
  const RoomId room = create();
  json::Object pdu = membership(room, bob_, "join")->object();
  pdu.find("content")->as_object()->set("reason", std::string(70'000, 'a'));
  events::hash_and_sign(pdu, *events::find_room_version("12"), other_, other_key_);
  const Answer answer = put(path("/_matrix/federation/v2/send_join", {room.view(), "$x"}), pdu);
  EXPECT_EQ(answer.status, 413);
  EXPECT_EQ(answer.errcode(), "M_TOO_LARGE");
}

TEST_F(MembershipTest, AJoinThatTheRoomRefusesIsNotPassedOn) {
  const RoomId room = create();
  const auto event = membership(room, bob_, "join");
  set_state(room, "m.room.member", bob_.str(), {{"membership", "ban"}});
  const Answer answer = submit("v2/send_join", event);
  EXPECT_EQ(answer.status, 403) << answer.text();
  EXPECT_EQ(joined(room), 1u);
  simulation_->run_for(Millis(5000));
  EXPECT_FALSE(will_forward(event->id()));
  // Nor when it comes again.
  EXPECT_EQ(submit("v2/send_join", event).status, 403);
}

TEST_F(MembershipTest, AServerThatTheAclDeniesTakesNoPart) {
  const RoomId room = create();
  const auto event = membership(room, bob_, "join");
  set_state(room, "m.room.server_acl", "",
            {{"allow", json::Array{"*"}}, {"deny", json::Array{"OTHER.example"}}});
  for (const char* what : {"join", "leave", "knock"})
    EXPECT_EQ(make(what, room, bob_).errcode(), "M_FORBIDDEN") << what;
  EXPECT_EQ(submit("v2/send_join", event).errcode(), "M_FORBIDDEN");
  EXPECT_EQ(submit("v2/send_leave", event).errcode(), "M_FORBIDDEN");
  EXPECT_EQ(submit("v1/send_knock", event).errcode(), "M_FORBIDDEN");
  EXPECT_EQ(joined(room), 1u);
}

TEST_F(MembershipTest, AnInviteIsRejectedByLeaving) {
  const RoomId room = create("12", {{"join_rule", "invite"}});
  EXPECT_EQ(make("leave", room, bob_).errcode(), "M_FORBIDDEN");
  set_state(room, "m.room.member", bob_.str(), {{"membership", "invite"}});
  const Answer made = make("leave", room, bob_);
  ASSERT_EQ(made.status, 200) << made.text();
  const Answer sent = submit("v2/send_leave", room, complete(made, "12"), "12");
  ASSERT_EQ(sent.status, 200) << sent.text();
  EXPECT_EQ(sent.text(), "{}");
  EXPECT_EQ(membership_of(room, bob_), stores::Membership::kLeave);
}

TEST_F(MembershipTest, AKnockIsAnsweredWithWhatTheRoomIs) {
  const RoomId room = create("12", {{"join_rule", "knock"}});
  set_state(room, "m.room.name", "", {{"name", "Room"}});
  set_state(room, "m.room.pinned_events", "", {{"pinned", json::Array()}});
  EXPECT_EQ(get(path("/_matrix/federation/v1/make_knock", {room.view(), bob_.view()})).errcode(),
            "M_MISSING_PARAM");
  const Answer made = make("knock", room, bob_);
  ASSERT_EQ(made.status, 200) << made.text();
  const Answer sent = submit("v1/send_knock", room, complete(made, "12"), "12");
  ASSERT_EQ(sent.status, 200) << sent.text();
  std::vector<std::string> types;
  for (const json::Value& pdu : sent.list("knock_room_state")) {
    types.push_back(*pdu.as_object()->find_string("type"));
    EXPECT_TRUE(pdu.as_object()->contains("signatures"));
  }
  EXPECT_EQ(types, (std::vector<std::string>{"m.room.create", "m.room.join_rules", "m.room.name"}));
  EXPECT_EQ(membership_of(room, bob_), stores::Membership::kKnock);
  EXPECT_EQ(make("knock", create(), bob_).errcode(), "M_FORBIDDEN");
}

class RestrictedTest : public MembershipTest {
 protected:
  RoomId restricted(const json::Value& condition_room) {
    return create("10", {{"join_rule", "restricted"},
                         {"allow", json::Array{json::object({{"type", "m.room_membership"},
                                                             {"room_id", condition_room}})}}});
  }
};

TEST_F(RestrictedTest, AMemberOfTheOtherRoomIsVouchedFor) {
  const RoomId condition = create("10");
  const RoomId room = restricted(condition.str());
  EXPECT_EQ(make("join", room, bob_, "10").errcode(), "M_FORBIDDEN");
  join(condition, bob_);
  const Answer made = make("join", room, bob_, "10");
  ASSERT_EQ(made.status, 200) << made.text();
  EXPECT_EQ(*made.at({"event", "content", "join_authorised_via_users_server"})->as_string(),
            alice_.str());
  const Answer sent = submit("v2/send_join", room, complete(made, "10"), "10");
  ASSERT_EQ(sent.status, 200) << sent.text();
  const json::Value* event = sent.at({"event"});
  ASSERT_NE(event, nullptr);
  EXPECT_TRUE(
      events::verify_json(events::redact(*event->as_object(), *events::find_room_version("10")),
                          own_.view(), key_.id(), key_.verify_key()));
  EXPECT_EQ(joined(room), 2u);
}

TEST_F(RestrictedTest, WhatCannotBeToldIsNotVouchedFor) {
  EXPECT_EQ(make("join", restricted("!unknown:third.example"), bob_, "10").errcode(),
            "M_UNABLE_TO_AUTHORISE_JOIN");
  EXPECT_EQ(make("join", restricted(5), bob_, "10").errcode(), "M_FORBIDDEN");
}

TEST_F(RestrictedTest, NobodyIsVouchedForByAUserWhoMayNot) {
  const RoomId condition = create("10");
  join(condition, bob_);
  const RoomId room = restricted(condition.str());
  const auto claim = [&](std::string_view by) {
    return submit("v2/send_join",
                  membership(room, bob_, "join", {{"join_authorised_via_users_server", by}}));
  };
  // A user of this server who is not in the room.
  EXPECT_EQ(claim("@nobody:own.example").errcode(), "M_FORBIDDEN");
  // One of another server, which did not sign.
  EXPECT_EQ(claim(carol_.view()).errcode(), "M_INVALID_PARAM");
  EXPECT_EQ(claim("nonsense").errcode(), "M_INVALID_PARAM");
  // A level that alice does not have.
  set_state(room, "m.room.power_levels", "",
            {{"users", json::object({{alice_.str(), 50}})}, {"invite", 100}});
  EXPECT_EQ(make("join", room, bob_, "10").errcode(), "M_UNABLE_TO_GRANT_JOIN");
  EXPECT_EQ(claim(alice_.view()).errcode(), "M_UNABLE_TO_GRANT_JOIN");
  EXPECT_EQ(joined(room), 1u);
}

TEST_F(RestrictedTest, ThisServersSignatureIsNotForThoseWhoMeetNoCondition) {
  const RoomId condition = create("10");
  const RoomId room = restricted(condition.str());
  const auto event =
      membership(room, bob_, "join", {{"join_authorised_via_users_server", alice_.str()}});
  const Answer answer = submit("v2/send_join", event);
  EXPECT_EQ(answer.errcode(), "M_FORBIDDEN");
  EXPECT_EQ(answer.text().find("signatures"), std::string::npos);
  EXPECT_EQ(joined(room), 1u);
  // A room without restrictions needs nobody's word.
  EXPECT_EQ(submit("v2/send_join", membership(condition, bob_, "join",
                                              {{"join_authorised_via_users_server", alice_.str()}}))
                .errcode(),
            "M_INVALID_PARAM");
}

}  // namespace
}  // namespace polder::federation_server
