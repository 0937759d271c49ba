// A server's room engine over memory, and another server's user, for tests.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "homeserver/base/values/bytes.h"
#include "homeserver/protocol/events/signing.h"
#include "homeserver/rooms/engine/engine.h"
#include "storage/stores/base/testing/store.h"

namespace polder::rooms {

// Keys that every test server has.
class TestKeys final : public KeySource {
 public:
  std::set<ServerName> unreachable;

  void add(const ServerName& server, const crypto::SigningKey& key) {
    keys_.emplace(std::pair(server, key.id()), key.verify_key());
  }
  Task<Result<crypto::VerifyKey>> key(ServerName server, KeyId key, int64_t) override {
    if (unreachable.contains(server)) co_return fail(ErrorCode::kUnavailable, "not reached");
    const auto found = keys_.find({server, key});
    if (found == keys_.end()) co_return fail(ErrorCode::kNotFound, "no such key");
    co_return found->second;
  }

 private:
  std::map<std::pair<ServerName, KeyId>, crypto::VerifyKey> keys_;
};

// Another server that answers with what the test gave it.
class TestRemote final : public RemoteServers {
 public:
  std::map<EventId, std::string> events;
  std::vector<std::string> missing;
  std::map<EventId, RemoteStateIds> states;
  size_t asked_state_ids = 0;
  size_t asked_states = 0;
  bool reachable = true;
  std::vector<std::string> history;  // given for a backfill; none: it fails

  Task<Result<std::string>> event(ServerName, EventId id) override {
    if (!reachable) co_return fail(ErrorCode::kUnavailable, "not reached");
    const auto found = events.find(id);
    if (found == events.end()) co_return fail(ErrorCode::kNotFound, "no such event");
    co_return found->second;
  }
  Task<Result<RemoteStateIds>> state_ids(ServerName, RoomId, EventId id) override {
    ++asked_state_ids;
    const auto found = states.find(id);
    if (found == states.end()) co_return fail(ErrorCode::kNotFound, "no such event");
    co_return found->second;
  }
  std::map<EventId, RemoteState> whole_states;
  Task<Result<RemoteState>> state(ServerName, RoomId, EventId id) override {
    ++asked_states;
    const auto found = whole_states.find(id);
    if (found == whole_states.end()) co_return fail(ErrorCode::kNotFound, "no state");
    co_return found->second;
  }
  std::vector<MissingEvents> asked_missing;
  Task<Result<std::vector<std::string>>> missing_events(ServerName, RoomId,
                                                        MissingEvents wanted) override {
    asked_missing.push_back(std::move(wanted));
    co_return missing;
  }
  Task<Result<std::vector<std::string>>> backfill(ServerName, RoomId, std::vector<EventId>,
                                                  size_t) override {
    if (!history.empty()) co_return history;
    co_return fail(ErrorCode::kUnavailable, "no history");
  }
};

class RoomsTest : public stores::StoreTest {
 protected:
  RoomsTest() : key_(make_key('1')), other_key_(make_key('2')) {
    keys_.add(own_, key_);
    keys_.add(other_, other_key_);
    start();
  }
  ~RoomsTest() override { end_tasks(); }

  static crypto::SigningKey make_key(char c) {
    return std::move(
        *crypto::SigningKey::from_seed(KeyId::trusted(std::string("ed25519:") + c),
                                       base::base64_encode(as_bytes(std::string(32, c)))));
  }

  void start() {
    boot();
    engine_ = std::make_unique<RoomEngine>(EngineParts{*runtime_, *database_, *committer_, *names_,
                                                       own_, key_, keys_, remote_, steps_});
    ASSERT_TRUE(engine_->rooms.load_heads().ok());
  }
  // Power is cut: what was not synced is gone.
  void crash() {
    end_tasks();
    engine_.reset();
    halt();
    disk_.power_loss();
    start();
  }

  std::vector<LocalEvent> new_room(std::string_view version, std::string_view join_rule) {
    json::Object create{{"room_version", std::string(version)}};
    if (!events::find_room_version(version)->creator_is_sender) create.set("creator", alice_.str());
    std::vector<LocalEvent> events;
    events.push_back(
        {.sender = alice_, .type = "m.room.create", .state_key = "", .content = create});
    events.push_back({.sender = alice_,
                      .type = "m.room.member",
                      .state_key = alice_.str(),
                      .content = {{"membership", "join"}}});
    json::Object users;
    if (!events::find_room_version(version)->privileged_creators) users.set(alice_.str(), 100);
    events.push_back({.sender = alice_,
                      .type = "m.room.power_levels",
                      .state_key = "",
                      .content = {{"users", users}}});
    events.push_back({.sender = alice_,
                      .type = "m.room.join_rules",
                      .state_key = "",
                      .content = {{"join_rule", std::string(join_rule)}}});
    return events;
  }
  RoomId create(std::string_view version = "12", std::string_view join_rule = "public") {
    auto room = run(
        engine_->writer.create(*events::find_room_version(version), new_room(version, join_rule)));
    EXPECT_TRUE(room.ok()) << room.error().message;
    return *room;
  }
  Result<SentEvent> say(const RoomId& room, const UserId& user, std::string_view text) {
    return run(engine_->writer.send(
        room,
        {.sender = user, .type = "m.room.message", .content = {{"body", std::string(text)}}}));
  }
  Result<SentEvent> set_membership(const RoomId& room, const UserId& sender, const UserId& target,
                                   std::string_view membership) {
    return run(engine_->writer.send(room, {.sender = sender,
                                           .type = "m.room.member",
                                           .state_key = target.str(),
                                           .content = {{"membership", std::string(membership)}}}));
  }
  std::string state(const RoomId& room, std::string_view type, std::string_view key) {
    const RoomHeadPtr head = *engine_->source().head(room);
    const RoomContent empty(head->number, head->rules);
    const auto snapshot = database_->snapshot();
    const RoomView view(empty, *snapshot, *names_, engine_->source().caches);
    const auto event = view.state_event(head->record.state, type, key);
    EXPECT_TRUE(event.ok());
    return *event ? (*event)->id().str() : "";
  }
  size_t timeline_size(const RoomId& room) {
    const RoomHeadPtr head = *engine_->source().head(room);
    return stores::read_timeline_forwards(*database_->snapshot(), head->number, 0,
                                          committer_->visible(), 1000)
        ->size();
  }

  // An event of the other server on top of given ones.
  events::EventPtr remote_event(const RoomId& room, events::EventDraft draft) {
    const RoomHeadPtr head = *engine_->source().head(room);
    draft.room_id = room;
    json::Object pdu = events::make_pdu(draft, *head->rules, "x");
    events::hash_and_sign(pdu, *head->rules, other_, other_key_);
    return *events::Event::parse(std::move(pdu), *head->rules);
  }
  // What the other server would build on the room's edge, as in make_join.
  events::EventPtr remote_on_edge(const RoomId& room, LocalEvent event) {
    auto pdu = run(engine_->writer.make_template(room, std::move(event)));
    EXPECT_TRUE(pdu.ok()) << pdu.error().message;
    const RoomHeadPtr head = *engine_->source().head(room);
    events::hash_and_sign(*pdu, *head->rules, other_, other_key_);
    return *events::Event::parse(*pdu, *head->rules);
  }

  // What makes a user of the other server a member, or none.
  events::EventPtr remote_membership(const RoomId& room, const UserId& user,
                                     std::string_view membership) {
    return remote_on_edge(room, {.sender = user,
                                 .type = "m.room.member",
                                 .state_key = user.str(),
                                 .content = {{"membership", std::string(membership)}}});
  }

  const ServerName own_ = ServerName::trusted("own");
  const ServerName other_ = ServerName::trusted("other");
  const UserId alice_ = UserId::trusted("@alice:own");
  const UserId carol_ = UserId::trusted("@carol:own");
  const UserId bob_ = UserId::trusted("@bob:other");
  crypto::SigningKey key_;
  crypto::SigningKey other_key_;
  TestKeys keys_;
  TestRemote remote_;
  StepSizes steps_;
  std::unique_ptr<RoomEngine> engine_;
};

}  // namespace polder::rooms
