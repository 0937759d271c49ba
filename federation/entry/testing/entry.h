// Entering and leaving rooms of another server, for tests.
#pragma once

#include "federation/entry/entry.h"
#include "federation/entry/testing/server.h"
#include "homeserver/rooms/engine/testing/engine.h"
#include "storage/stores/check/check.h"
#include "storage/stores/users/user_rows.h"

namespace polder::entry {

class EntryTest : public rooms::RoomsTest {
 protected:
  // What waits for the other server dies before it.
  ~EntryTest() override { end_tasks(); }

  void SetUp() override {
    other_database_ = kv::open_memory(stores::kColumns, other_disk_);
    other_committer_ = kv::Committer::create(*runtime_, *other_database_);
    other_names_ = *stores::Names::open(*other_database_);
    other_engine_ = std::make_unique<rooms::RoomEngine>(
        rooms::EngineParts{*runtime_, *other_database_, *other_committer_, *other_names_, other_,
                           other_key_, keys_, other_remote_});
    servers_ = std::make_unique<OtherServer>(*other_engine_, own_);
    client_ = std::make_unique<client::FederationClient>(*servers_);
    entry_ = std::make_unique<RoomEntry>(engine_->writer, *client_);
  }

  RoomId other_room(std::string_view version = "11", std::string_view join_rule = "public") {
    auto events = new_room(version, join_rule);
    for (rooms::LocalEvent& event : events) {
      event.sender = bob_;
      if (event.type == "m.room.member") event.state_key = bob_.str();
      if (event.content.contains("creator")) event.content.set("creator", bob_.str());
      if (event.type == "m.room.power_levels" && !event.content.find_object("users")->empty())
        event.content.set("users", json::object({{bob_.str(), 100}}));
    }
    events.push_back(
        {.sender = bob_, .type = "m.room.name", .state_key = "", .content = {{"name", "Other"}}});
    auto room =
        run(other_engine_->writer.create(*events::find_room_version(version), std::move(events)));
    EXPECT_TRUE(room.ok()) << room.error().message;
    return *room;
  }
  MembershipRequest request(const RoomId& room) { return {alice_, room, {}, {other_}}; }
  Result<rooms::SentEvent> bob_sets(const RoomId& room, std::string type, std::string key,
                                    json::Object content) {
    return run(other_engine_->writer.send(room, {.sender = bob_,
                                                 .type = std::move(type),
                                                 .state_key = std::move(key),
                                                 .content = std::move(content)}));
  }
  // Bob invites alice, and her server has heard of it.
  void invite_alice(const RoomId& room) {
    const rooms::LocalEvent invite{.sender = bob_,
                                   .type = "m.room.member",
                                   .state_key = alice_.str(),
                                   .content = {{"membership", "invite"}}};
    const auto event = run(other_engine_->writer.prepare(room, invite));
    ASSERT_TRUE(event.ok()) << event.error().message;
    ASSERT_TRUE(run(other_engine_->writer.store_prepared(*event)).ok());
    ASSERT_TRUE(run(engine_->writer.store_outside_membership((*event)->rules(), *event, {})).ok());
  }
  std::string membership(const rooms::RoomEngine& engine, const RoomId& room, const UserId& user) {
    const auto head = *engine.source().head(room);
    if (!head) return "";
    const rooms::RoomReader reader(engine.source(), head);
    const auto event = *reader.state_event(head->record.state, "m.room.member", user.view());
    return event ? std::string(event->membership()) : "";
  }
  std::string_view row(const RoomId& room, const UserId& user) {
    const auto user_number = *names_->find(stores::NameKind::kUser, user.view());
    const auto room_number = *engine_->source().find(room);
    if (!user_number || !room_number) return "";
    const auto found = *stores::read_membership(*database_->snapshot(), *user_number, *room_number);
    return found ? stores::to_string(found->membership) : "";
  }
  bool followed(const RoomId& room) {
    const auto head = *engine_->source().head(room);
    return head && head->record.local_joined;
  }
  void set_account(const UserId& user, const stores::AccountRow& account) {
    kv::Batch batch;
    stores::NewNames new_names;
    const auto number = names_->intern(stores::NameKind::kUser, user.view(), batch, new_names);
    ASSERT_TRUE(number.ok());
    stores::put_account(batch, *number, account);
    ASSERT_TRUE(run(committer_->commit(std::move(batch))).ok());
  }
  void expect_sound() {
    const auto report = stores::check_database(*database_->snapshot());
    ASSERT_TRUE(report.ok());
    EXPECT_EQ(report->faults, std::vector<std::string>{});
  }
  json::Array& list(json::Object& answer, const char* name) {
    return *answer.find(name)->as_array();
  }

  kv::MemoryDisk other_disk_;
  rooms::TestRemote other_remote_;
  std::unique_ptr<kv::Database> other_database_;
  std::unique_ptr<kv::Committer> other_committer_;
  std::unique_ptr<stores::Names> other_names_;
  std::unique_ptr<rooms::RoomEngine> other_engine_;
  std::unique_ptr<OtherServer> servers_;
  std::unique_ptr<client::FederationClient> client_;
  std::unique_ptr<RoomEntry> entry_;
};

}  // namespace polder::entry
