// Unread counts and push rules over a server's room engine, for tests.
#pragma once

#include "homeserver/base/json/parse.h"
#include "homeserver/protocol/events/room_version.h"
#include "homeserver/rooms/engine/testing/engine.h"
#include "homeserver/sync/push/counts.h"
#include "homeserver/sync/push/highlights.h"
#include "homeserver/sync/push/rules.h"
#include "homeserver/users/data/receipts.h"
#include "storage/stores/rooms/push_rows.h"

namespace polder::push {

using push_rules::Kind;

// Counts the rows of each event's batch, after all others added theirs.
class RowCounter final : public rooms::Contributor {
 public:
  size_t rows = 0;
  Status contribute(const rooms::StoredEvent&, const std::vector<rooms::StateChange>&,
                    kv::Batch& batch) override {
    rows = batch.ops().size();
    return {};
  }
};

class PushTest : public stores::StoreTest {
 protected:
  PushTest() { start(); }
  ~PushTest() override { stop(); }

  void start() {
    boot();
    engine_ = std::make_unique<rooms::RoomEngine>(rooms::EngineParts{
        *runtime_, *database_, *committer_, *names_, own_, key_, keys_, servers_});
    highlights_ = std::make_unique<Highlights>(*names_, own_);
    engine_->writer.add_contributor(*highlights_);
    engine_->writer.add_contributor(counter_);
    ASSERT_TRUE(engine_->rooms.load_heads().ok());
    const users::Parts parts{*runtime_, *database_, *committer_, *names_, own_};
    receipts_ = std::make_unique<users::Receipts>(parts);
    turns_ = std::make_unique<users::UserTurns>(parts);
    rules_ = std::make_unique<Rules>(parts, *turns_);
    counts_ = std::make_unique<Counts>(*rules_);
  }
  void stop() {
    end_tasks();
    counts_.reset();
    rules_.reset();
    turns_.reset();
    receipts_.reset();
    engine_.reset();
    highlights_.reset();
    halt();
  }
  void crash() {
    stop();
    disk_.power_loss();
    start();
  }

  static json::Object object(std::string_view text) { return *json::parse_object(text); }

  // A public room of alice's.
  RoomId create_room() {
    std::vector<rooms::LocalEvent> events;
    const auto add = [&](std::string type, std::string key, json::Object content) {
      events.push_back({.sender = alice_,
                        .type = std::move(type),
                        .state_key = std::move(key),
                        .content = content});
    };
    add("m.room.create", "", {{"room_version", "11"}});
    add("m.room.member", alice_.str(), {{"membership", "join"}});
    add("m.room.power_levels", "", {{"users", json::Object{{alice_.str(), 100}}}});
    add("m.room.join_rules", "", {{"join_rule", "public"}});
    auto room = run(engine_->writer.create(*events::find_room_version("11"), std::move(events)));
    EXPECT_TRUE(room.ok()) << room.error().message;
    return *room;
  }
  EventId send(const UserId& sender, std::string type, json::Object content,
               std::optional<std::string> state_key = {}) {
    const auto sent = run(engine_->writer.send(room_, {.sender = sender,
                                                       .type = std::move(type),
                                                       .state_key = std::move(state_key),
                                                       .content = std::move(content)}));
    EXPECT_TRUE(sent.ok()) << sent.error().message;
    return sent->id;
  }
  EventId say(const UserId& sender, std::string_view body, std::string_view more = "{}") {
    json::Object content = object(more);
    content.set("body", body);
    return send(sender, "m.room.message", std::move(content));
  }
  EventId relate(const UserId& sender, std::string_view rel_type, const EventId& to) {
    return send(sender, "m.room.message",
                {{"body", "x"},
                 {"m.relates_to", json::Object{{"rel_type", rel_type}, {"event_id", to.str()}}}});
  }
  void redact(const EventId& event) {
    const auto sent = run(engine_->writer.send(
        room_, {.sender = alice_, .type = "m.room.redaction", .redacts = event}));
    EXPECT_TRUE(sent.ok()) << sent.error().message;
  }
  void join(const UserId& user) {
    send(user, "m.room.member", {{"membership", "join"}}, user.str());
  }
  stores::UserNumber number(const UserId& user) {
    return **names_->find(stores::NameKind::kUser, user.view());
  }
  void read(const UserId& user, const EventId& event, std::string_view thread = "",
            std::string_view type = "m.read") {
    const auto set = run(receipts_->set(number(user), (*engine_->source().head(room_))->number,
                                        {std::string(type), std::string(thread), event}));
    EXPECT_TRUE(set.ok());
  }
  Unread unread(const UserId& user) {
    const rooms::RoomReader reader(engine_->source(), *engine_->source().head(room_));
    const auto judgement = counts_->judgement(reader.snapshot(), number(user), user);
    EXPECT_TRUE(judgement.ok());
    const auto unread =
        counts_->unread(reader, *reader.reader(user), *judgement, committer_->visible());
    EXPECT_TRUE(unread.ok());
    return *unread;
  }
  void expect(const UserId& user, uint64_t notifications, uint64_t highlights,
              std::string_view where) {
    const Count total = unread(user).total();
    EXPECT_EQ(total.notifications, notifications) << where;
    EXPECT_EQ(total.highlights, highlights) << where;
  }
  Status change(const UserId& user, Rules::Change change) {
    return run(rules_->change(number(user), std::move(change)));
  }
  Status put(const UserId& user, Kind kind, std::string id, std::string_view body) {
    const json::Object rule = object(body);
    return change(user, [=](push_rules::RuleSet& rules) { return rules.put(kind, id, rule, {}); });
  }

  const ServerName own_ = ServerName::trusted("own");
  const UserId alice_ = UserId::trusted("@alice:own");
  const UserId bob_ = UserId::trusted("@bob:own");
  const UserId carol_ = UserId::trusted("@carol:own");
  const crypto::SigningKey key_ = std::move(*crypto::SigningKey::from_seed(
      KeyId::trusted("ed25519:1"), base::base64_encode(as_bytes(std::string(32, '1')))));
  rooms::TestKeys keys_;
  rooms::TestRemote servers_;
  RowCounter counter_;
  RoomId room_;
  std::unique_ptr<rooms::RoomEngine> engine_;
  std::unique_ptr<Highlights> highlights_;
  std::unique_ptr<users::Receipts> receipts_;
  std::unique_ptr<users::UserTurns> turns_;
  std::unique_ptr<Rules> rules_;
  std::unique_ptr<Counts> counts_;
};

}  // namespace polder::push
