// A small database that is whole, and what is said of it once a row is wrong.
#include "storage/stores/check/check.h"

#include "storage/keys/key.h"
#include "storage/keys/value.h"
#include "storage/kv/memory.h"
#include "storage/stores/base/columns.h"
#include "storage/stores/base/cursor_rows.h"
#include "storage/stores/federation/federation_rows.h"
#include "storage/stores/rooms/chain_rows.h"
#include "storage/stores/rooms/directory_rows.h"
#include "storage/stores/rooms/relation_rows.h"
#include "storage/stores/rooms/room_rows.h"
#include "storage/stores/rooms/state_map.h"
#include "storage/stores/rooms/time_rows.h"
#include "storage/stores/users/user_rows.h"

namespace polder::stores {
namespace {

using keys::KeyWriter;
using keys::ValueWriter;

// An event's JSON in these tests is its id, type, state key and membership, with slashes between.
Result<EventFacts> read_facts(std::string_view, std::string_view json) {
  if (!json.starts_with('$')) return fail(ErrorCode::kMalformed, "no event");
  EventFacts facts;
  std::array<std::string, 4> parts;
  for (size_t at = 0, part = 0; part < parts.size(); ++part) {
    const size_t end = std::min(json.find('/', at), json.size());
    parts.at(part) = json.substr(at, end - at);
    at = std::min(end + 1, json.size());
  }
  facts.id = EventId::trusted(parts[0]);
  facts.type = parts[1];
  if (facts.type.starts_with("m.room.")) facts.state_key = parts[2];
  facts.membership = parts[3];
  return facts;
}

std::string number_of_one() {
  return ValueWriter(1).varint(1).str();
}

Relation relation_of(EventNumber child) {
  Relation relation;
  relation.place.depth = 4;
  relation.child = child;
  relation.rel_type = "m.annotation";
  relation.type = "message";
  return relation;
}

// Room 1 of alice: create event, her join, two messages of which the second relates to the first.
class WholeDatabase {
 public:
  WholeDatabase() {
    names_ = *Names::open(*database_);
    kv::Batch batch;
    user = intern(NameKind::kUser, "@alice:own", batch);
    const ServerNumber server = intern(NameKind::kServer, "own", batch);
    room = intern(NameKind::kRoom, "!room:own", batch);
    add_state(batch, 1, "m.room.create", "", "");
    put_chain_row(batch, {room, 1}, {1, 0, 0, {}});
    add_state(batch, 2, "m.room.member", "@alice:own", "join");
    put_chain_row(batch, {room, 2}, {2, 0, 0, {{1, 1}}});
    MembershipRow member;
    member.membership = Membership::kJoin;
    member.event = 2;
    member.position = 2;
    put_membership(batch, user, room, member, std::nullopt);
    put_server_count(batch, room, server, 1);
    add_event(batch, 3, "$3/message//");
    const kv::PositionSlot slot = add_event(batch, 4, "$4/message//");
    put_relation(batch, room, EventId::trusted("$3"), relation_of(4), slot);
    put_redaction(batch, {room, 3}, 4);
    room_record.id = RoomId::trusted("!room:own");
    room_record.version = "12";
    room_record.extremities = {4};
    room_record.state = state_;
    room_record.last_event = 4;
    room_record.joined = 1;
    room_record.local_joined = true;
    put_room(batch, room, room_record);
    put_account(batch, user, {});
    put_device(batch, user, device, {});
    SessionRow session;
    session.user = user;
    session.device = device;
    put_session(batch, token, session);
    put_alias(batch, RoomAlias::trusted("#lobby:own"),
              {room_record.id, UserId::trusted("@alice:own")});
    put_cursor(batch, kFederationFollower, 3);
    put_backlog(batch, ServerName::trusted("other.example"), {2});
    write(batch);
  }

  void write(kv::Batch& batch) {
    batch.fill_positions(database_->last_position() + 1);
    const kv::Batch* one = &batch;
    ASSERT_TRUE(database_->write({&one, 1}, database_->last_position() + 1, true).ok());
  }
  std::vector<std::string> faults() {
    const auto report =
        check_database(*database_->snapshot(), database_->last_position(), read_facts);
    EXPECT_TRUE(report.ok());
    return report.ok() ? report->faults : std::vector<std::string>{"(unreadable)"};
  }
  std::shared_ptr<const kv::Snapshot> snapshot() const { return database_->snapshot(); }
  std::string event_key(EventNumber number) const {
    return KeyWriter().u64(room).u64(number).str();
  }
  EventRecord record_of(EventNumber number) {
    return **read_event_record(*database_->snapshot(), {room, number});
  }

  UserNumber user = 0;
  RoomNumber room = 0;
  RoomRecord room_record;
  const DeviceId device = DeviceId::trusted("DEVICE");
  const Digest token = {7};

 private:
  uint64_t intern(NameKind kind, std::string_view name, kv::Batch& batch) {
    NewNames written;
    return *names_->intern(kind, name, batch, written);
  }

  kv::PositionSlot add_event(kv::Batch& batch, EventNumber number, std::string_view json) {
    EventRecord record;
    record.depth = static_cast<int64_t>(number);
    record.state_before = before_;
    record.state_after = state_;
    if (number > 1) record.prev_events = {number - 1};
    if (number > 1) record.auth_events = {1};
    const kv::PositionSlot slot = batch.reserve_position();
    put_event(batch, {room, number}, EventId::trusted("$" + std::to_string(number)), json, record,
              slot);
    put_event_time(batch, {room, number}, 0);
    put_stream_event(batch, slot, {room, number});
    before_ = state_;
    return slot;
  }

  void add_state(kv::Batch& batch, EventNumber number, const std::string& type,
                 const std::string& key, const std::string& membership) {
    const StateKey at{static_cast<uint32_t>(intern(NameKind::kType, type, batch)),
                      intern(NameKind::kStateKey, key, batch)};
    const auto snapshot = database_->snapshot();
    const StateNodes nodes(room, *snapshot, cache_, &overlay_);
    const StateUpdate update = *state_apply(nodes, state_, {{at, number}}, room_record.last_node);
    for (const WrittenNode& written : update.new_nodes)
      overlay_.emplace(written.number, written.node);
    room_record.last_node = update.last_node;
    put_state_nodes(batch, room, update);
    state_ = update.root;
    add_event(batch, number,
              "$" + std::to_string(number) + "/" + type + "/" + key + "/" + membership);
  }

  kv::MemoryDisk disk_;
  std::unique_ptr<kv::Database> database_ = kv::open_memory(kColumns, disk_);
  std::unique_ptr<Names> names_;
  StateNodeCache cache_{1 << 20};
  StateNodes::Overlay overlay_;
  StateRoot before_, state_;
};

TEST(Check, AWholeDatabaseHasNoFaults) {
  WholeDatabase whole;
  EXPECT_EQ(whole.faults(), std::vector<std::string>{});
  const auto report = check_database(*whole.snapshot());
  EXPECT_EQ(report->rooms, 1u);
  EXPECT_EQ(report->events, 4u);
  EXPECT_EQ(report->faults, std::vector<std::string>{});
}

TEST(Check, InvitesIntoARoomThatThisServerLeftGoOnWithoutIt) {
  WholeDatabase whole;
  whole.room_record.invited = 1;  // of a user who has declined since
  whole.room_record.local_joined = false;
  kv::Batch batch;
  put_room(batch, whole.room, whole.room_record);
  whole.write(batch);
  EXPECT_EQ(whole.faults(), std::vector<std::string>{});
}

TEST(Check, EveryKindOfDamageIsNamed) {
  using Damage = std::function<void(WholeDatabase&, kv::Batch&)>;
  const auto with_record = [](EventNumber number, std::function<void(EventRecord&)> change) {
    return [number, change = std::move(change)](WholeDatabase& whole, kv::Batch& batch) {
      EventRecord record = whole.record_of(number);
      change(record);
      put_event_record(batch, {whole.room, number}, record);
    };
  };
  const auto with_room = [](std::function<void(RoomRecord&)> change) {
    return [change = std::move(change)](WholeDatabase& whole, kv::Batch& batch) {
      RoomRecord record = whole.room_record;
      change(record);
      put_room(batch, whole.room, record);
    };
  };
  const auto with_chain = [](EventNumber number, ChainRow row) {
    return [number, row = std::move(row)](WholeDatabase& whole, kv::Batch& batch) {
      put_chain_row(batch, {whole.room, number}, row);
    };
  };
  const std::string number_one = number_of_one();
  const std::vector<std::pair<std::string, Damage>> cases = {
      {"interned name and number disagree",
       [](WholeDatabase& whole, kv::Batch& batch) {
         batch.put(kNumbers, KeyWriter(1).u64(whole.user), ValueWriter(1).tail("@bob:own").str());
       }},
      {"interned names and numbers differ in count",
       [](WholeDatabase&, kv::Batch& batch) {
         batch.put(kNumbers, KeyWriter(1).u64(99), ValueWriter(1).tail("@eve:own").str());
       }},
      {"two event ids lead to one event",
       [](WholeDatabase& whole, kv::Batch& batch) {
         batch.put(kEventIds, KeyWriter(2).tail("9"),
                   ValueWriter(1).varint(whole.room).varint(3).str());
       }},
      {"an event id leads to no event",
       [](WholeDatabase& whole, kv::Batch& batch) {
         batch.put(kEventIds, KeyWriter(2).tail("9"),
                   ValueWriter(1).varint(whole.room).varint(9).str());
       }},
      {"no event id leads to an event",
       [](WholeDatabase&, kv::Batch& batch) { batch.erase(kEventIds, KeyWriter(2).tail("3")); }},
      {"an event's own id leads elsewhere",
       [](WholeDatabase& whole, kv::Batch& batch) {
         batch.put(kEvents, whole.event_key(3), ValueWriter(1).tail("$4/message//").str());
       }},
      {"an event cannot be read",
       [](WholeDatabase& whole, kv::Batch& batch) {
         batch.put(kEvents, whole.event_key(3), ValueWriter(1).tail("damaged").str());
       }},
      {"an event has a record and no content",
       [](WholeDatabase& whole, kv::Batch& batch) { batch.erase(kEvents, whole.event_key(3)); }},
      {"damaged record: event record",
       [](WholeDatabase& whole, kv::Batch& batch) {
         batch.put(kEventRecords, whole.event_key(3), "\x01");
       }},
      {"rows name room 99, which is not there",
       [](WholeDatabase&, kv::Batch& batch) {
         batch.put(kEventIds, KeyWriter(2).tail("9"), ValueWriter(1).varint(99).varint(1).str());
       }},
      {"an event is beyond the last one", with_room([](RoomRecord& r) { r.last_event = 3; })},
      {"an auth event is missing or newer",
       with_record(3, [](EventRecord& r) { r.auth_events = {4}; })},
      {"a prev event is missing", with_record(3, [](EventRecord& r) { r.prev_events = {9}; })},
      {"a forward extremity is no accepted event",
       with_room([](RoomRecord& r) { r.extremities = {9}; })},
      {"a forward extremity is named twice",
       with_room([](RoomRecord& r) { r.extremities = {4, 4}; })},
      {"a forward extremity has a successor",
       with_room([](RoomRecord& r) { r.extremities = {3, 4}; })},
      {"there is no forward extremity", with_room([](RoomRecord& r) { r.extremities = {}; })},
      {"a timeline entry leads astray",
       [&](WholeDatabase& whole, kv::Batch& batch) {
         batch.put(kTimelines, KeyWriter(1).u64(whole.room).u64(3), number_one);
       }},
      {"the timeline lacks or repeats events",
       [](WholeDatabase& whole, kv::Batch& batch) {
         batch.erase(kTimelines, KeyWriter(1).u64(whole.room).u64(3));
       }},
      {"an entry of the order by depth leads astray",
       with_record(3, [](EventRecord& r) { r.depth = 17; })},
      {"the order by depth lacks or repeats events",
       [](WholeDatabase& whole, kv::Batch& batch) {
         batch.erase(kTimelines, KeyWriter(2).u64(whole.room).u64(3).u64(3));
       }},
      {"an entry of the order by time leads astray",
       [](WholeDatabase& whole, kv::Batch& batch) {
         erase_event_time(batch, {whole.room, 3}, 0);
         put_event_time(batch, {whole.room, 3}, 1);
       }},
      {"the order by time lacks or repeats events",
       [](WholeDatabase& whole, kv::Batch& batch) {
         erase_event_time(batch, {whole.room, 3}, 0);
       }},
      {"the stream of all events lacks an event",
       [](WholeDatabase&, kv::Batch& batch) { batch.erase(kStreams, KeyWriter(1).u64(3)); }},
      {"the stream of all events has an event too many",
       with_record(3, [](EventRecord& r) { r.standing.outlier = true; })},
      {"an event has a position beyond the last one",
       [](WholeDatabase& whole, kv::Batch& batch) {
         batch.put(kStreams, KeyWriter(1).u64(77),
                   ValueWriter(1).varint(whole.room).varint(3).str());
       }},
      {"a state node is missing",
       [](WholeDatabase& whole, kv::Batch& batch) {
         batch.erase(kStateNodes, KeyWriter().u64(whole.room).u64(1));
       }},
      {"a state node is beyond the last one", with_room([](RoomRecord& r) { r.last_node = 0; })},
      {"a state node is not what names it",
       with_record(3, [](EventRecord& r) { r.state_before.hash ^= 1; })},
      {"a state names an event that is not there",
       [](WholeDatabase& whole, kv::Batch& batch) {
         const auto snapshot = whole.snapshot();
         StateNodeCache cache(10);
         StateNode node = **StateNodes(whole.room, *snapshot, cache).load(kNodesPerRow);
         node.items.front().value = 9;
         put_state_row(batch, whole.room, 1, {written_node(kNodesPerRow, node, 0, nullptr)});
       }},
      {"a state names an event under a key that is not the event's",
       [](WholeDatabase& whole, kv::Batch& batch) {
         batch.put(kEvents, whole.event_key(2), ValueWriter(1).tail("$2/m.room.name//").str());
       }},
      {"the current state is not the one after the last event",
       with_record(4, [](EventRecord& r) { r.state_after = {}; })},
      {"the memberships of users are not the members of the room",
       [](WholeDatabase& whole, kv::Batch& batch) {
         batch.erase(kMemberships, KeyWriter().u64(whole.user).u64(whole.room));
       }},
      {"a member of the current state is not among the user's rooms",
       [](WholeDatabase& whole, kv::Batch& batch) {
         MembershipRow row;
         row.membership = Membership::kJoin;
         row.event = 3;
         put_membership(batch, whole.user, whole.room, row, std::nullopt);
       }},
      {"a membership has a position beyond the last one",
       [](WholeDatabase& whole, kv::Batch& batch) {
         MembershipRow row = **read_membership(*whole.snapshot(), whole.user, whole.room);
         row.position = 77;
         put_membership(batch, whole.user, whole.room, row, std::nullopt);
       }},
      {"a membership names an event that is not there",
       [](WholeDatabase& whole, kv::Batch& batch) {
         MembershipRow row;
         row.membership = Membership::kLeave;
         row.event = 9;
         put_membership(batch, whole.user, whole.room, row, std::nullopt);
       }},
      {"the list of outsiders is not that of their memberships",
       [](WholeDatabase& whole, kv::Batch& batch) {
         MembershipRow row;
         row.membership = Membership::kInvite;
         put_membership(batch, whole.user, 99, row, std::nullopt);
       }},
      {"a room that is followed has outsiders",
       [](WholeDatabase& whole, kv::Batch& batch) {
         MembershipRow row;
         row.membership = Membership::kKnock;
         put_membership(batch, whole.user, whole.room, row, std::nullopt);
         put_outsider(batch, whole.room, whole.user);
       }},
      {"the members of the servers are not the members of the room",
       [](WholeDatabase& whole, kv::Batch& batch) { put_server_count(batch, whole.room, 1, 2); }},
      {"the current state has other members than are counted",
       with_room([](RoomRecord& r) { r.joined = 2; })},
      {"damaged record: chain row",
       [](WholeDatabase& whole, kv::Batch& batch) {
         batch.put(kRelations, KeyWriter(4).u64(whole.room).u64(2), "\x01");
       }},
      {"damaged record: chain row", with_chain(2, {2, 0, 0, {{2, 2}}})},
      {"the index over auth chains has not just the state events",
       [](WholeDatabase& whole, kv::Batch& batch) {
         batch.erase(kRelations, KeyWriter(4).u64(whole.room).u64(2));
       }},
      {"the index over auth chains has not just the state events",
       with_chain(3, {3, 0, 0, {{1, 1}}})},
      {"the index over auth chains has an unknown event", with_chain(9, {9, 0, 0, {}})},
      {"a chain of the auth events does not go on as it should", with_chain(2, {1, 1, 0, {}})},
      {"a chain of the auth events does not go on as it should", with_chain(2, {1, 0, 0, {{1, 1}}})},
      {"a chain of the auth events ends elsewhere",
       [](WholeDatabase& whole, kv::Batch& batch) {
         batch.put(kRelations, KeyWriter(5).u64(whole.room).u64(1), ValueWriter(1).varint(2));
       }},
      {"a link of the auth chains leads astray", with_record(2, [](EventRecord& r) { r.auth_events = {}; })},
      {"an auth event is not reached by the index over auth chains", with_chain(2, {2, 0, 0, {}})},
      {"a relation leads to no event",
       [](WholeDatabase& whole, kv::Batch& batch) {
         put_relation(batch, whole.room, EventId::trusted("$3"), relation_of(9),
                      batch.reserve_position());
       }},
      {"a redaction joins events that are not there",
       [](WholeDatabase& whole, kv::Batch& batch) { put_redaction(batch, {whole.room, 9}, 3); }},
      {"a session has no account",
       [](WholeDatabase& whole, kv::Batch& batch) {
         batch.erase(kUsers, KeyWriter(1).u64(whole.user));
       }},
      {"a session has no device",
       [](WholeDatabase& whole, kv::Batch& batch) {
         SessionRow session;
         session.user = whole.user;
         session.device = DeviceId::trusted("OTHER");
         put_session(batch, whole.token, session);
       }},
      {"a user's session is not there",
       [](WholeDatabase& whole, kv::Batch& batch) {
         batch.erase(kSessions, KeyWriter(1).tail(as_text(whole.token)));
       }},
      {"a session is missing among its user's",
       [](WholeDatabase& whole, kv::Batch& batch) {
         batch.erase(kSessions, KeyWriter(2).u64(whole.user).tail(as_text(whole.token)));
       }},
      {"the size of account data is another one",
       [](WholeDatabase& whole, kv::Batch& batch) {
         put_account_data_sizes(batch, whole.user, whole.room, {{1, 7}, {1, 7}});
       }},
      {"a room's alias is not there",
       [](WholeDatabase&, kv::Batch& batch) {
         batch.erase(kDirectory, KeyWriter(1).tail("#lobby:own"));
       }},
      {"an alias is missing among its room's",
       [](WholeDatabase&,
          kv::Batch&
              batch) { batch.erase(kDirectory, KeyWriter(2).text("!room:own").tail("#lobby:own")); }},
      {"a follower's place in the log is beyond the last position",
       [](WholeDatabase&, kv::Batch& batch) { put_cursor(batch, kFederationFollower, 77); }},
      {"a follower's place in the log is beyond the last position",
       [](WholeDatabase&, kv::Batch& batch) { put_cursor(batch, "another", 77); }},
      {"a destination has got more than was dispatched",
       [](WholeDatabase&,
          kv::Batch& batch) { put_backlog(batch, ServerName::trusted("other.example"), {4}); }},
      {"a destination is no server name",
       [](WholeDatabase&,
          kv::Batch& batch) { put_backlog(batch, ServerName::trusted("no name"), {1}); }},
      {"unknown kind of row in column users: tag 9",
       [](WholeDatabase& whole, kv::Batch& batch) {
         batch.put(kUsers, KeyWriter(9).u64(whole.user), number_of_one());
       }},
      {"damaged row in column users (account): its key has other parts",
       [](WholeDatabase& whole, kv::Batch& batch) {
         batch.put(kUsers, KeyWriter(1).u64(whole.user).u64(1), number_of_one());
       }},
      {"damaged row in column receipts (receipt): its value has another format",
       [](WholeDatabase& whole, kv::Batch& batch) {
         batch.put(kReceipts, KeyWriter().u64(whole.room).u64(whole.user).text("m.read"), "?");
       }},
  };
  for (const auto& [fault, damage] : cases) {
    WholeDatabase whole;
    kv::Batch batch;
    damage(whole, batch);
    whole.write(batch);
    const auto found = whole.faults();
    EXPECT_TRUE(std::ranges::any_of(
        found, [&](const std::string& text) { return text.starts_with(fault); }))
        << fault << ": " << (found.empty() ? "nothing was found" : found.front());
  }
}

TEST(Check, FaultsAreCountedUpToALimit) {
  WholeDatabase whole;
  kv::Batch batch;
  for (uint64_t i = 0; i < 3 * kMaxFaults; ++i) {
    batch.put(kEventIds, KeyWriter(2).tail(std::to_string(1000 + i)),
              ValueWriter(1).varint(whole.room).varint(3).str());
  }
  whole.write(batch);
  EXPECT_EQ(whole.faults().size(), kMaxFaults);
}

}  // namespace
}  // namespace polder::stores
