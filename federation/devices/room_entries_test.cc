#include "federation/devices/room_entries.h"

#include "federation/devices/testing/world.h"
#include "homeserver/protocol/events/room_version.h"

namespace polder::devices {
namespace {

class RoomEntriesTest : public WorldTest {
 protected:
  static events::EventPtr member(const UserId& user, const std::string& membership) {
    if (membership.empty()) return nullptr;
    json::Object pdu{{"type", "m.room.member"},
                     {"sender", user.str()},
                     {"state_key", user.str()},
                     {"room_id", "!r:own.example"},
                     {"content", json::object({{"membership", membership}})},
                     {"prev_events", json::Array{}},
                     {"auth_events", json::Array{}},
                     {"depth", 1},
                     {"origin_server_ts", 1},
                     {"hashes", json::object({})},
                     {"signatures", json::object({})}};
    return *events::Event::parse(std::move(pdu), *events::find_room_version("10"));
  }
};

TEST_F(RoomEntriesTest, LocalUsersWhoWereNotThereAreNoted) {
  struct Case {
    UserId user;
    std::string before;
    std::string after;
    bool noted;
  };
  for (const Case& c : std::vector<Case>{{kAlice, "", "join", true},
                                         {kAlice, "invite", "join", true},
                                         {kAlice, "leave", "join", true},
                                         {kAlice, "join", "join", false},
                                         {kAlice, "join", "leave", false},
                                         {kAlice, "", "invite", false},
                                         {kBob, "", "join", false}}) {
    const auto user = number(c.user);
    const std::vector<rooms::StateChange> changes = {
        {"m.room.member", c.user.str(), member(c.user, c.before), member(c.user, c.after), 1}};
    const kv::Position from = committer_->visible();
    commit([&](kv::Batch& batch) {
      rooms::StoredEvent event;
      event.place = {7, 1};
      event.slot = batch.reserve_position();
      EXPECT_TRUE(devices_->entries.contribute(event, changes, batch).ok());
    });
    const auto noted =
        *stores::read_room_entries(*database_->snapshot(), from, committer_->visible(), 10);
    ASSERT_EQ(noted.size(), c.noted ? 1u : 0u) << c.user.view() << c.before << c.after;
    if (!c.noted) continue;
    EXPECT_EQ(noted[0].user, user);
    EXPECT_EQ(noted[0].room, 7u);
  }
}

}  // namespace
}  // namespace polder::devices
