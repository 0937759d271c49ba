#include "federation/server/testing/server.h"

namespace polder::federation_server {
namespace {

class HistoryTest : public ServerTest {
 protected:
  static std::string url(std::string_view what, std::string_view room, std::string_view rest) {
    return path("/_matrix/federation/v1/" + std::string(what), {room}) + std::string(rest);
  }
  static std::string at(std::string_view event) {
    return "?event_id=" + base::percent_encode(event);
  }
  Answer state(std::string_view what, const RoomId& room, const EventId& event) {
    return get(url(what, room.view(), at(event.view())));
  }
  Answer event(const EventId& id) { return get(path("/_matrix/federation/v1/event", {id.view()})); }
  Answer event_auth(const RoomId& room, const EventId& id) {
    return get(path("/_matrix/federation/v1/event_auth", {room.view(), id.view()}));
  }
  Answer backfill(const RoomId& room, const EventId& from, std::string_view limit) {
    return get(url("backfill", room.view(),
                   "?v=" + base::percent_encode(from.view()) + "&limit=" + std::string(limit)));
  }
  Answer missing(const RoomId& room, json::Object body) {
    return post(url("get_missing_events", room.view(), ""), body);
  }
  static std::vector<std::string> bodies(const json::Array& pdus) {
    std::vector<std::string> texts;
    for (const json::Value& pdu : pdus) {
      const std::string* body = pdu.as_object()->find_object("content")->find_string("body");
      texts.push_back(body != nullptr ? *body : "");
    }
    return texts;
  }
  static std::string last_body(const Answer& answer) {
    const auto texts = bodies(answer.list("pdus"));
    return texts.empty() ? "" : texts.back();
  }
};

TEST_F(HistoryTest, TheStateIsThatBeforeTheEvent) {
  for (const char* version : {"1", "11", "12"}) {
    const RoomId room = create(version);
    join(room, bob_);
    const EventId topic = set_state(room, "m.room.topic", "", {{"topic", "one"}});
    const EventId after = say(room, "after");
    const Answer before = state("state", room, topic);
    ASSERT_EQ(before.status, 200) << before.text();
    EXPECT_EQ(before.list("pdus").size(), 5u);
    EXPECT_EQ(before.list("auth_chain").size(), 4u) << version;
    const Answer ids = state("state_ids", room, after);
    EXPECT_EQ(ids.list("pdu_ids").size(), 6u);
    EXPECT_TRUE(std::ranges::count(ids.list("pdu_ids"), json::Value(topic.str())) == 1);
    EXPECT_EQ(ids.list("auth_chain_ids").size(), 4u) << version;
  }
}

TEST_F(HistoryTest, TheAuthChainHasTheCreateEventInAllVersions) {
  for (const char* version : {"1", "11", "12"}) {
    const RoomId room = create(version);
    join(room, bob_);
    const Answer chain = event_auth(room, say(room, "x"));
    ASSERT_EQ(chain.status, 200);
    std::set<std::string> types;
    for (const json::Value& pdu : chain.list("auth_chain"))
      types.insert(*pdu.as_object()->find_string("type"));
    EXPECT_TRUE(types.contains("m.room.create")) << version;
    EXPECT_TRUE(types.contains("m.room.power_levels")) << version;
  }
}

// CVE-2022-39335, and its like in other servers.
TEST_F(HistoryTest, ServersThatAreNotInTheRoomLearnNothing) {
  const RoomId room = create();
  const EventId id = say(room, "secret");
  const auto refused = [&](const Answer& answer) {
    EXPECT_EQ(answer.status, 403);
    EXPECT_EQ(answer.errcode(), "M_FORBIDDEN");
    return answer.text();
  };
  const std::string text = refused(state("state", room, id));
  EXPECT_EQ(refused(state("state_ids", room, id)), text);
  EXPECT_EQ(refused(event_auth(room, id)), text);
  EXPECT_EQ(refused(backfill(room, id, "10")), text);
  EXPECT_EQ(refused(missing(room, {{"earliest_events", json::Array()},
                                   {"latest_events", json::Array{id.str()}}})),
            text);
  // The same as for a room that is not known here.
  EXPECT_EQ(refused(state("state", RoomId::trusted("!" + std::string(43, 'a')), id)), text);
  EXPECT_EQ(event(id).errcode(), "M_NOT_FOUND");
  EXPECT_EQ(event(id).text(), event(EventId::trusted("$" + std::string(43, 'a'))).text());
}

TEST_F(HistoryTest, AServerThatTheAclDeniesReadsNothing) {
  const RoomId room = create();
  join(room, bob_);
  const EventId id = say(room, "x");
  EXPECT_EQ(state("state", room, id).status, 200);
  set_state(room, "m.room.server_acl", "", {{"allow", json::Array{"own.example"}}});
  EXPECT_EQ(state("state", room, id).status, 403);
  EXPECT_EQ(state("state_ids", room, id).status, 403);
  EXPECT_EQ(event_auth(room, id).status, 403);
  EXPECT_EQ(backfill(room, id, "10").status, 403);
  EXPECT_EQ(missing(room, {}).status, 403);
  EXPECT_EQ(event(id).status, 404);
}

// An event id of another room opens no door into that room.
TEST_F(HistoryTest, EventsOfOtherRoomsAreNotFound) {
  const RoomId room = create();
  join(room, bob_);
  const RoomId hidden = create();
  const EventId secret = say(hidden, "secret");
  EXPECT_EQ(state("state", room, secret).errcode(), "M_NOT_FOUND");
  EXPECT_EQ(state("state_ids", room, secret).errcode(), "M_NOT_FOUND");
  EXPECT_EQ(event_auth(room, secret).errcode(), "M_NOT_FOUND");
  EXPECT_EQ(backfill(room, secret, "10").list("pdus").size(), 0u);
  const Answer answer = missing(
      room, {{"earliest_events", json::Array()}, {"latest_events", json::Array{secret.str()}}});
  EXPECT_EQ(answer.list("events").size(), 0u);
}

TEST_F(HistoryTest, BackfillGoesBackFromTheEvent) {
  const RoomId room = create();
  join(room, bob_);
  const EventId one = say(room, "1");
  const EventId two = say(room, "2");
  const EventId three = say(room, "3");
  const Answer page = backfill(room, two, "2");
  EXPECT_EQ(*page.at({"origin"})->as_string(), own_.str());
  EXPECT_EQ(bodies(page.list("pdus")), (std::vector<std::string>{"2", "1"}));
  EXPECT_EQ(backfill(room, three, "100").list("pdus").size(), 8u);
  EXPECT_EQ(backfill(room, three, "0").list("pdus").size(), 0u);
  EXPECT_EQ(backfill(room, three, "-5").list("pdus").size(), 0u);
  EXPECT_EQ(backfill(room, three, "many").errcode(), "M_INVALID_PARAM");
  EXPECT_EQ(get(url("backfill", room.view(), "?limit=5")).errcode(), "M_MISSING_PARAM");
  EXPECT_EQ(get(url("backfill", room.view(), "?v=%24x")).errcode(), "M_MISSING_PARAM");
  EXPECT_EQ(get(url("backfill", room.view(), "?v=x&limit=5")).errcode(), "M_INVALID_PARAM");
  std::string many = "?limit=5";
  for (int i = 0; i < 101; ++i)
    many += "&v=%24x";
  EXPECT_EQ(get(url("backfill", room.view(), many)).errcode(), "M_TOO_LARGE");
}

TEST_F(HistoryTest, MissingEventsLieBetweenTheEarliestAndTheLatest) {
  const RoomId room = create();
  join(room, bob_);
  std::vector<EventId> ids;
  for (int i = 0; i < 15; ++i)
    ids.push_back(say(room, std::to_string(i)));
  const auto between = [&](size_t earliest, size_t latest, json::Object more) {
    more.set("earliest_events", json::Array{ids[earliest].str()});
    more.set("latest_events", json::Array{ids[latest].str()});
    return bodies(missing(room, std::move(more)).list("events"));
  };
  EXPECT_EQ(between(3, 7, {}), (std::vector<std::string>{"4", "5", "6"}));
  // "Defaults to 10."
  EXPECT_EQ(between(0, 14, {}).size(), 10u);
  EXPECT_EQ(between(0, 14, {}).front(), "4");
  EXPECT_EQ(between(0, 14, {{"limit", 2}}), (std::vector<std::string>{"12", "13"}));
  EXPECT_EQ(between(0, 14, {{"min_depth", 17}, {"limit", 100}}).size(), 3u);
  for (json::Object body : std::vector<json::Object>{
           {},
           {{"earliest_events", json::Array()}},
           {{"earliest_events", json::Array()}, {"latest_events", json::Array{5}}},
           {{"earliest_events", json::Array()}, {"latest_events", json::Array{"x"}}},
           {{"earliest_events", json::Array()}, {"latest_events", json::Array()}, {"limit", "x"}}})
    EXPECT_EQ(missing(room, body).status, 400) << json::write(body);
  EXPECT_EQ(
      missing(room, {{"earliest_events", json::Array()}, {"latest_events", json::Array(101, "$x")}})
          .errcode(),
      "M_TOO_LARGE");
}

// https://spec.matrix.org/v1.19/client-server-api/#room-history-visibility, for a server: whatever
// one of its users may see.
TEST_F(HistoryTest, EventsThatTheServerMayNotSeeComeWithoutTheirContent) {
  struct Case {
    std::string_view visibility;
    bool before_invite;
    bool while_invited;
  };
  const Case cases[] = {{"world_readable", true, true},
                        {"shared", true, true},
                        {"invited", false, true},
                        {"joined", false, false}};
  for (const Case& item : cases) {
    const RoomId room = create();
    set_state(room, "m.room.history_visibility", "", {{"history_visibility", item.visibility}});
    const EventId early = say(room, "early");
    set_state(room, "m.room.member", bob_.str(), {{"membership", "invite"}});
    const EventId invited = say(room, "invited");
    join(room, bob_);
    const EventId late = say(room, "late");
    EXPECT_EQ(last_body(event(early)), item.before_invite ? "early" : "") << item.visibility;
    EXPECT_EQ(last_body(event(invited)), item.while_invited ? "invited" : "") << item.visibility;
    EXPECT_EQ(last_body(event(late)), "late");
    const auto page = bodies(backfill(room, late, "10").list("pdus"));
    const auto has = [&](std::string_view body) { return std::ranges::count(page, body) == 1; };
    EXPECT_EQ(has("early"), item.before_invite) << item.visibility;
    EXPECT_EQ(has("invited"), item.while_invited) << item.visibility;
    EXPECT_TRUE(has("late"));
  }
}

TEST_F(HistoryTest, AWorldReadableEventIsForEveryone) {
  const RoomId room = create();
  const EventId hidden = say(room, "hidden");
  set_state(room, "m.room.history_visibility", "", {{"history_visibility", "world_readable"}});
  const EventId shown = say(room, "shown");
  EXPECT_EQ(last_body(event(shown)), "shown");
  EXPECT_EQ(event(hidden).status, 404);
}

TEST_F(HistoryTest, ARedactedEventComesWithoutItsContent) {
  const RoomId room = create();
  join(room, bob_);
  const EventId id = say(room, "regretted");
  ASSERT_TRUE(run(engine_.writer.send(room, {.sender = alice_,
                                             .type = "m.room.redaction",
                                             .content = {{"redacts", id.str()}}}))
                  .ok());
  EXPECT_EQ(last_body(event(id)), "");
  const auto pdu = event(id).list("pdus").front();
  EXPECT_EQ(events::event_id_of(*pdu.as_object(), *events::find_room_version("12")), id);
}

// https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1timestamp_to_eventroomid
TEST_F(HistoryTest, TheEventClosestToATimeIsOneThatTheServerMaySee) {
  const RoomId room = create();
  set_state(room, "m.room.history_visibility", "", {{"history_visibility", "joined"}});
  simulation_->run_for(Millis(1000));
  say(room, "early");
  const auto at = [&](const std::string& query) {
    return get(url("timestamp_to_event", room.view(), query));
  };
  EXPECT_EQ(at("?ts=0&dir=f").status, 403);
  simulation_->run_for(Millis(1000));
  join(room, bob_);
  simulation_->run_for(Millis(1000));
  const EventId late = say(room, "late");
  simulation_->run_for(Millis(1000));
  const std::string now = std::to_string(runtime_.clock().wall_ms());
  const Answer last = at("?dir=b&ts=" + now);
  ASSERT_EQ(last.status, 200) << last.text();
  EXPECT_EQ(*last.at({"event_id"})->as_string(), late.str());
  const Answer before =
      at("?dir=b&ts=" + std::to_string(*last.at({"origin_server_ts"})->as_int() - 1));
  EXPECT_EQ(last_body(event(EventId::trusted(*before.at({"event_id"})->as_string()))), "");
  EXPECT_EQ(at("?dir=f&ts=" + now).errcode(), "M_NOT_FOUND");
  EXPECT_EQ(at("?dir=x&ts=1").errcode(), "M_INVALID_PARAM");
  EXPECT_EQ(at("?dir=f&ts=x").errcode(), "M_INVALID_PARAM");
  EXPECT_EQ(at("?dir=f").errcode(), "M_MISSING_PARAM");
  EXPECT_EQ(at("?ts=1").errcode(), "M_MISSING_PARAM");
}

TEST_F(HistoryTest, AnErasedUsersEventsComeWholeOnlyToServersThatWereThere) {
  const RoomId room = create();
  const EventId early = say(room, "early");
  join(room, bob_);
  const EventId late = say(room, "late");
  EXPECT_EQ(last_body(event(early)), "early");
  ASSERT_TRUE(run(accounts_.deactivate(alice_, true)).ok());
  EXPECT_EQ(last_body(event(early)), "");
  EXPECT_EQ(last_body(event(late)), "late");
  const auto page = bodies(backfill(room, late, "10").list("pdus"));
  EXPECT_EQ(std::ranges::count(page, "early"), 0);
  EXPECT_EQ(std::ranges::count(page, "late"), 1);
}

TEST_F(HistoryTest, PurgedEventsComeWithoutTheirContentOrNotAtAll) {
  const RoomId room = create();
  join(room, bob_);
  const EventId own = say(room, "own");
  const auto theirs = message(room, "theirs");
  ASSERT_TRUE(run(engine_.writer.receive(other_, theirs)).ok());
  const EventId point = say(room, "point");
  const EventId last = say(room, "last");
  ASSERT_TRUE(
      run(engine_.upkeep.purge_history(room, {point, false}, policy::Administrator())).ok());
  EXPECT_EQ(last_body(event(own)), "") << "it is hidden at once";
  simulation_->run_for(Millis(10'000));
  EXPECT_EQ(bodies(backfill(room, last, "10").list("pdus")),
            (std::vector<std::string>{"last", "point"}));
  EXPECT_EQ(last_body(event(own)), "");
  EXPECT_EQ(last_body(event(last)), "last");
  EXPECT_EQ(event(theirs->id()).status, 404);
  EXPECT_EQ(state("state_ids", room, last).list("pdu_ids").size(), 5u);
}

TEST_F(HistoryTest, RejectedEventsAreNotServed) {
  const RoomId room = create();
  join(room, bob_);
  const auto refused =
      remote(room, {.sender = UserId::trusted("@eve:other.example"), .type = "m.room.message"});
  const auto received = run(engine_.writer.receive(other_, refused));
  ASSERT_TRUE(received.ok());
  ASSERT_EQ(received->verdict, rooms::Verdict::kRejected);
  EXPECT_EQ(event(refused->id()).status, 404);
  EXPECT_EQ(state("state", room, refused->id()).status, 404);
  EXPECT_EQ(event_auth(room, refused->id()).status, 404);
  const Answer page = backfill(room, refused->id(), "100");
  EXPECT_EQ(page.list("pdus").size(), 5u);
  EXPECT_EQ(page.text().find("@eve:other.example"), std::string::npos);
}

}  // namespace
}  // namespace polder::federation_server
