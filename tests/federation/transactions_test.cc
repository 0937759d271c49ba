#include "federation/server/testing/server.h"
#include "storage/stores/federation/federation_rows.h"
#include "storage/stores/rooms/receipt_rows.h"
#include "storage/stores/users/key_rows.h"

namespace polder::federation_server {
namespace {

class TransactionsTest : public ServerTest {
 protected:
  RoomId shared_room(std::string_view version = "12") {
    const RoomId room = create(version);
    join(room, bob_);
    return room;
  }
  // What the answer says of an event; "" if it was taken, "-" if it says nothing.
  static std::string error_of(const Answer& answer, const EventId& event) {
    const json::Value* result = answer.at({"pdus", event.view()});
    if (result == nullptr) return "-";
    const std::string* error = result->as_object()->find_string("error");
    return error != nullptr ? *error : "";
  }
  bool has(const EventId& event) {
    return stores::find_event(*database_->snapshot(), event)->has_value();
  }
  Answer edu(std::string_view type, json::Object content) {
    return transaction({}, {json::object({{"edu_type", type}, {"content", std::move(content)}})});
  }
};

TEST_F(TransactionsTest, EventsAreTakenAndToldOf) {
  for (const char* version : {"1", "5", "11", "12"}) {
    const RoomId room = shared_room(version);
    const auto first = message(room, "1");
    const Answer answer = transaction({first->object()});
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(error_of(answer, first->id()), "");
    EXPECT_TRUE(has(first->id()));
  }
  EXPECT_TRUE(servers_.heard.contains(other_));
}

TEST_F(TransactionsTest, EventsOfARoomAreTakenInTheirOrder) {
  const RoomId room = shared_room();
  const auto first = message(room, "1");
  json::Array pdus = {first->object()};
  events::EventPtr last = first;
  std::vector<EventId> ids = {first->id()};
  for (int i = 0; i < 10; ++i) {
    json::Object pdu = last->object();
    pdu.set("prev_events", json::Array{last->id().str()});
    pdu.set("depth", last->depth() + 1);
    pdu.erase("signatures");
    events::hash_and_sign(pdu, last->rules(), other_, other_key_);
    last = *events::Event::parse(pdu, last->rules());
    ids.push_back(last->id());
    pdus.emplace_back(std::move(pdu));
  }
  const Answer answer = transaction(std::move(pdus));
  for (const EventId& id : ids)
    EXPECT_EQ(error_of(answer, id), "");
  EXPECT_EQ((*engine_.source().head(room))->record.extremities.size(), 1u);
}

TEST_F(TransactionsTest, OneBadEventDoesNotHoldUpTheRest) {
  const RoomId room = shared_room();
  const RoomId denied = shared_room();
  const auto of_denied = message(denied, "denied");
  set_state(denied, "m.room.server_acl", "", {{"allow", json::Array{"own.example"}}});
  const auto good = message(room, "good");
  const auto base = message(room, "base");
  struct Case {
    std::string_view what;
    json::Value pdu;
  };
  const auto with = [&](std::string key, json::Value value) {
    json::Object pdu = base->object();
    pdu.set(std::move(key), std::move(value));
    pdu.erase("signatures");
    events::hash_and_sign(pdu, base->rules(), other_, other_key_);
    return json::Value(std::move(pdu));
  };
  json::Object unsigned_pdu = base->object();
  unsigned_pdu.set("signatures", json::Object());
  json::Object forged = base->object();
  forged.set("origin_server_ts", 77);
  const std::vector<Case> cases = {
      {"no object", "nonsense"},
      {"empty", json::Object()},
      {"no room", with("room_id", 5)},
      {"a malformed room", with("room_id", "nonsense")},
      {"an unknown room", with("room_id", "!" + std::string(43, 'a'))},
      {"unsigned", unsigned_pdu},
      {"changed after it was signed", forged},
      {"too large", with("content", json::object({{"a", std::string(70'000, 'a')}}))},
      {"a number that is none", with("depth", json::Number{"1.5"})},
      {"a depth out of range", with("depth", int64_t{1} << 60)},
      {"a user of another server", with("sender", carol_.str())},
      {"a user of this server", with("sender", alice_.str())},
      {"someone who is not in the room", with("sender", "@eve:other.example")},
      {"too many prev events", with("prev_events", json::Array(21, "$a"))},
      {"an event of a room that denies the origin", of_denied->object()},
  };
  json::Array pdus;
  for (const Case& item : cases) {
    runtime_.lines.clear();
    const Answer alone = transaction({item.pdu});
    EXPECT_EQ(alone.status, 200) << item.what << alone.text();
    const auto refusals = logged("pdu_refused") + logged("event_refused");
    EXPECT_EQ(refusals, 1u) << item.what;
    const json::Value* results = alone.at({"pdus"});
    ASSERT_NE(results, nullptr);
    for (const auto& [id, result] : *results->as_object())
      EXPECT_TRUE(result.as_object()->contains("error")) << item.what;
    pdus.push_back(item.pdu);
  }
  pdus.emplace_back(good->object());
  const Answer answer = transaction(std::move(pdus));
  EXPECT_EQ(error_of(answer, good->id()), "");
  EXPECT_TRUE(has(good->id()));
  EXPECT_FALSE(has(of_denied->id()));
  EXPECT_NE(error_of(answer, of_denied->id()), "");
}

// However deep it is, one event is one result.
TEST_F(TransactionsTest, AnEventThatIsNestedWithoutEndDoesNotHoldUpTheRest) {
  const RoomId room = shared_room();
  const auto good = message(room, "good");
  for (const size_t depth : {size_t{150}, size_t{900}, size_t{30'000}, size_t{100'000}}) {
    const std::string deep = "{\"content\":" + std::string(depth, '[') + std::string(depth, ']') +
                             ",\"room_id\":\"" + room.str() + "\"}";
    const std::string text =
        "{\"origin\":\"" + other_.str() + "\",\"pdus\":[" + deep + "," + good->json() + "]}";
    const std::string target = "/_matrix/federation/v1/send/deep" + std::to_string(depth);
    const Answer answer = raw("PUT", target, text, {header(other_, "PUT", target, text)});
    EXPECT_EQ(answer.status, 200) << depth << answer.text();
    EXPECT_EQ(error_of(answer, good->id()), "") << depth;
  }
  EXPECT_TRUE(has(good->id()));
}

TEST_F(TransactionsTest, AMemberWhoseEventIsNestedDeeplyIsFollowed) {
  const RoomId room = shared_room();
  const std::string deep = std::string(31'000, '[') + std::string(31'000, ']');
  const auto first = membership(room, bob_, "join", {{"deep", *json::parse(deep)}});
  EXPECT_EQ(error_of(transaction({first->object()}), first->id()), "");
  EXPECT_TRUE(has(first->id()));
  const auto second = membership(room, bob_, "join", {{"displayname", "Bob"}});
  EXPECT_EQ(error_of(transaction({second->object()}), second->id()), "");
  EXPECT_TRUE(has(second->id()));
}

TEST_F(TransactionsTest, WrongTransactionsChangeNothing) {
  const RoomId room = shared_room();
  const auto event = message(room, "x");
  const auto send = [&](json::Object body) {
    return put("/_matrix/federation/v1/send/w" + std::to_string(++transactions_), body);
  };
  EXPECT_EQ(send({{"origin", "third.example"}, {"pdus", json::Array{event->object()}}}).errcode(),
            "M_INVALID_PARAM");
  EXPECT_EQ(send({{"pdus", json::Array(51, event->object())}}).errcode(), "M_TOO_LARGE");
  EXPECT_EQ(send({{"pdus", json::Array()}, {"edus", json::Array(101, json::Object())}}).errcode(),
            "M_TOO_LARGE");
  EXPECT_EQ(send({{"pdus", "nonsense"}}).errcode(), "M_INVALID_PARAM");
  EXPECT_EQ(put("/_matrix/federation/v1/send/" + std::string(300, 't'), {}).errcode(),
            "M_TOO_LARGE");
  EXPECT_FALSE(has(event->id()));
}

TEST_F(TransactionsTest, ATransactionThatComesTwiceIsProcessedOnce) {
  const RoomId room = shared_room();
  const auto event = message(room, "x");
  const std::string target = "/_matrix/federation/v1/send/same";
  const std::string body = json::write(json::Object{{"pdus", json::Array{event->object()}}});
  const std::vector<std::string> headers = {header(other_, "PUT", target, body)};
  std::optional<Answer> first;
  std::optional<Answer> second;
  runtime::spawn(runtime_, runtime_.shard(0), "first",
                 perform("PUT", target, body, headers, first));
  runtime::spawn(runtime_, runtime_.shard(0), "second",
                 perform("PUT", target, body, headers, second));
  ASSERT_TRUE(simulation_->run_until([&] { return first && second; }, Millis(60'000)));
  EXPECT_EQ(first->status, 200);
  EXPECT_EQ(second->text(), first->text());
  EXPECT_EQ(raw("PUT", target, body, headers).text(), first->text());
}

TEST_F(TransactionsTest, WhatCannotBeStoredComesAgain) {
  const RoomId room = shared_room();
  const auto event = message(room, "x");
  disk_.fail_after(1);
  EXPECT_EQ(transaction({event->object()}).status, 503);
  ASSERT_TRUE(database_->resume().ok());
  EXPECT_EQ(error_of(transaction({event->object()}), event->id()), "");
  EXPECT_TRUE(has(event->id()));
}

TEST_F(TransactionsTest, TypingIsForMembersOfTheOrigin) {
  const RoomId room = shared_room();
  join(room, carol_);
  const auto number = *names_->find(stores::NameKind::kRoom, room.view());
  const auto typing = [&](std::string_view user, bool now) {
    EXPECT_EQ(edu("m.typing", {{"room_id", room.str()}, {"user_id", user}, {"typing", now}}).status,
              200);
    const auto typists = typing_.typing_since(*number, 0);
    return typists ? *typists : std::vector<UserId>();
  };
  EXPECT_EQ(typing(bob_.view(), true), std::vector<UserId>(1, bob_));
  EXPECT_EQ(typing(bob_.view(), false), std::vector<UserId>());
  EXPECT_EQ(typing(carol_.view(), true), std::vector<UserId>());
  EXPECT_EQ(typing(alice_.view(), true), std::vector<UserId>());
  EXPECT_EQ(typing("@eve:other.example", true), std::vector<UserId>());
  set_state(room, "m.room.server_acl", "", {{"allow", json::Array{"own.example"}}});
  EXPECT_EQ(typing(bob_.view(), true), std::vector<UserId>());
}

TEST_F(TransactionsTest, ReceiptsAreForMembersOfTheOriginAndEventsOfTheRoom) {
  const RoomId room = shared_room();
  const RoomId elsewhere = create();
  join(room, carol_);
  const EventId event = say(room, "read me");
  const EventId of_elsewhere = say(elsewhere, "not here");
  const auto number = *names_->find(stores::NameKind::kRoom, room.view());
  const auto receipt = [&](std::string_view user, const EventId& id, json::Object data,
                           std::string_view type = "m.read") {
    const auto one =
        json::object({{"event_ids", json::Array{id.str()}}, {"data", std::move(data)}});
    EXPECT_EQ(edu("m.receipt",
                  {{room.str(),
                    json::object({{std::string(type), json::object({{std::string(user), one}})}})}})
                  .status,
              200);
    return stores::read_receipts(*database_->snapshot(), *number)->size();
  };
  EXPECT_EQ(receipt(bob_.view(), of_elsewhere, {{"ts", 5}}), 0u);
  EXPECT_EQ(receipt(carol_.view(), event, {{"ts", 5}}), 0u);
  EXPECT_EQ(receipt(alice_.view(), event, {{"ts", 5}}), 0u);
  EXPECT_EQ(receipt("@eve:other.example", event, {{"ts", 5}}), 0u);
  EXPECT_EQ(receipt(bob_.view(), event, {}), 0u);
  EXPECT_EQ(receipt(bob_.view(), event, {{"ts", 5}}, "m.read.private"), 0u);
  EXPECT_EQ(receipt(bob_.view(), event, {{"ts", 5}}), 1u);
  EXPECT_EQ(stores::read_receipts(*database_->snapshot(), *number)->front().ts_ms, 5);
  EXPECT_EQ(receipt(bob_.view(), event, {{"ts", 6}, {"thread_id", "main"}}), 2u);
  set_state(room, "m.room.server_acl", "", {{"allow", json::Array{"own.example"}}});
  EXPECT_EQ(receipt(bob_.view(), event, {{"ts", 7}, {"thread_id", "$other"}}), 2u);
}

// One about an event that is yet to come cannot be compared, and is believed.
TEST_F(TransactionsTest, ReceiptsNeverGoBack) {
  const RoomId room = shared_room();
  const EventId older = say(room, "older");
  const EventId newer = say(room, "newer");
  const EventId unknown = EventId::trusted("$to-come");
  const auto number = *names_->find(stores::NameKind::kRoom, room.view());
  struct Case {
    EventId named, found;
  };
  for (const Case& c : std::vector<Case>{
           {newer, newer}, {older, newer}, {unknown, unknown}, {older, older}, {newer, newer}}) {
    const auto one = json::object(
        {{"event_ids", json::Array{c.named.str()}}, {"data", json::object({{"ts", 5}})}});
    edu("m.receipt", {{room.str(), json::object({{"m.read", json::object({{bob_.str(), one}})}})}});
    const auto receipts = stores::read_receipts(*database_->snapshot(), *number);
    ASSERT_EQ(receipts->size(), 1u);
    EXPECT_EQ(receipts->front().event, c.found) << c.named.view();
  }
}

TEST_F(TransactionsTest, MessagesToDevicesComeOnce) {
  users::NewSession wanted;
  wanted.device = DeviceId::trusted("PHONE");
  ASSERT_TRUE(run(sessions_.log_in(alice_, wanted)).ok());
  const auto user = *names_->find(stores::NameKind::kUser, alice_.view());
  const auto send = [&](std::string_view sender, std::string_view id, std::string_view target) {
    const auto messages =
        json::object({{std::string(target), json::object({{"*", json::object({{"secret", 1}})}})}});
    EXPECT_EQ(edu("m.direct_to_device", {{"sender", sender},
                                         {"type", "m.room_key"},
                                         {"message_id", id},
                                         {"messages", messages}})
                  .status,
              200);
    return stores::read_to_device(*database_->snapshot(), *user, *wanted.device, 0,
                                  committer_->visible(), 100)
        ->size();
  };
  EXPECT_EQ(send(carol_.view(), "1", alice_.view()), 0u);
  EXPECT_EQ(send(alice_.view(), "1", alice_.view()), 0u);
  EXPECT_EQ(send(bob_.view(), "1", bob_.view()), 0u);
  EXPECT_EQ(send(bob_.view(), std::string(300, 'x'), alice_.view()), 0u);
  EXPECT_EQ(send(bob_.view(), "2", alice_.view()), 1u);
  EXPECT_EQ(send(bob_.view(), "2", alice_.view()), 1u);
  EXPECT_EQ(send(bob_.view(), "3", alice_.view()), 2u);
  // Known for a month.
  simulation_->run_for(Millis(29 * kTestDayMs));
  EXPECT_EQ(send(bob_.view(), "3", alice_.view()), 2u);
  simulation_->run_for(Millis(3 * kTestDayMs));
  EXPECT_EQ(send(bob_.view(), "3", alice_.view()), 3u);
}

// The key that signed it cannot be had: nobody can say whether it is good.
TEST_F(TransactionsTest, AnEventThatCannotBeJudgedYetIsTriedAgain) {
  const RoomId room = shared_room();
  const auto join = membership(room, carol_, "join");
  servers_.keys.erase(third_);
  for (int i = 0; i < 2; ++i)
    EXPECT_EQ(error_of(transaction({join->object()}), join->id()), "");
  simulation_->run_for(Millis(60'000));
  EXPECT_FALSE(has(join->id()));
  EXPECT_EQ(stores::read_waiting(*database_->snapshot())->size(), 1u);
  servers_.keys.emplace(third_, &third_key_);
  simulation_->run_for(Millis(300'000));
  EXPECT_TRUE(has(join->id()));
  EXPECT_EQ(membership_of(room, carol_), stores::Membership::kJoin);
  EXPECT_EQ(stores::read_waiting(*database_->snapshot())->size(), 0u);
  EXPECT_EQ(logged("pdu_given_up"), 0u);
}

TEST_F(TransactionsTest, AnEventThatWaitsIsTriedAfterARestartAndGivenUpAfterADay) {
  const RoomId room = shared_room();
  const auto join = membership(room, carol_, "join");
  const auto hopeless = message(room, "1");
  const auto tried_again = [&](const events::Event& event, int64_t since_ms) {
    kv::Batch batch;
    stores::put_waiting(batch, {other_, event.id(), room, event.depth(), since_ms}, event.json());
    EXPECT_TRUE(run(committer_->commit(std::move(batch))).ok());
    Api restarted(api_.parts);
    EXPECT_TRUE(restarted.start().ok());
    simulation_->run_for(Millis(10'000));
    return stores::read_waiting(*database_->snapshot())->empty();
  };
  EXPECT_TRUE(tried_again(*join, runtime_.clock().wall_ms()));
  EXPECT_TRUE(has(join->id()));
  servers_.keys.clear();
  json::Object lost = hopeless->object();
  lost.set("prev_events", json::Array{"$nobody-has-it"});
  const auto event = changed(**events::Event::parse(lost, hopeless->rules()), "depth", 9);
  EXPECT_TRUE(tried_again(*event, runtime_.clock().wall_ms() - kTestDayMs));
  EXPECT_FALSE(has(event->id()));
  EXPECT_EQ(logged("pdu_given_up"), 1u);
}

// Another server has let this one in, and sends what happened since before its answer is here.
TEST_F(TransactionsTest, EventsOfARoomThatIsBeingEnteredWaitForIt) {
  for (const char* version : {"11", "12"}) {
    const RoomId room = shared_room(version);
    const auto said = message(room, "1");
    const events::RoomVersionRules& rules = said->rules();
    ASSERT_TRUE(run(engine_.writer.send(room, {.sender = alice_,
                                               .type = "m.room.member",
                                               .state_key = alice_.str(),
                                               .content = {{"membership", "leave"}}}))
                    .ok());
    EXPECT_NE(error_of(transaction({said->object()}), said->id()), "") << "nobody is in it";
    {
      const rooms::EnteringRooms::Mark entering(engine_.writer.entering(), room, rules);
      const rooms::EnteringRooms::Mark by_another_way(engine_.writer.entering(), room, rules);
      EXPECT_EQ(error_of(transaction({said->object()}), said->id()), "");
      simulation_->run_for(Millis(300'000));
      EXPECT_EQ(stores::read_waiting(*database_->snapshot())->size(), 1u);
    }
    simulation_->run_for(Millis(300'000));
    EXPECT_EQ(stores::read_waiting(*database_->snapshot())->size(), 0u) << "it was not entered";
    EXPECT_FALSE(has(said->id()));
  }
}

TEST_F(TransactionsTest, AMessageThatCannotBeStoredIsNotAcknowledged) {
  users::NewSession wanted;
  ASSERT_TRUE(run(sessions_.log_in(alice_, wanted)).ok());
  disk_.fail_after(1);
  const auto messages =
      json::object({{alice_.str(), json::object({{"*", json::object({{"a", 1}})}})}});
  EXPECT_EQ(
      edu("m.direct_to_device",
          {{"sender", bob_.str()}, {"type", "t"}, {"message_id", "1"}, {"messages", messages}})
          .status,
      503);
}

TEST_F(TransactionsTest, DeviceListsOfTheOriginsUsersAreHandedOn) {
  edu("m.device_list_update", {{"user_id", bob_.str()}, {"stream_id", 1}});
  edu("m.signing_key_update", {{"user_id", bob_.str()}});
  edu("m.device_list_update", {{"user_id", carol_.str()}});
  edu("m.signing_key_update", {{"user_id", alice_.str()}});
  edu("m.device_list_update", {});
  edu("m.presence", {{"push", json::Array()}});
  EXPECT_EQ(device_lists_.updates,
            (std::vector<std::string>{
                R"(devices other.example{"stream_id":1,"user_id":"@bob:other.example"})",
                R"(keys other.example{"user_id":"@bob:other.example"})"}));
  EXPECT_EQ(logged("edu_dropped"), 3u);
}

}  // namespace
}  // namespace polder::federation_server
