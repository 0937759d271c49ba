#include "storage/stores/rooms/room_rows.h"

#include <array>

#include "storage/keys/key.h"
#include "storage/keys/value.h"
#include "storage/stores/base/rows.h"

namespace polder::stores {
namespace {

constexpr uint8_t kFormat = 1;
constexpr uint8_t kServerTag = tag_of(Row::kRoomServer);
constexpr uint8_t kOutsiderTag = tag_of(Row::kOutsider);
constexpr size_t kExtremitiesMax = 4096;

constexpr std::array<std::string_view, 6> kMembershipNames = {"",      "invite", "join",
                                                              "knock", "leave",  "ban"};

std::string room_key(RoomNumber room) {
  return keys::KeyWriter(tag_of(Row::kRoom)).u64(room).str();
}
std::string membership_key(UserNumber user, RoomNumber room) {
  return keys::KeyWriter().u64(user).u64(room).str();
}

Result<RoomRecord> decode_room(std::string_view bytes) {
  keys::ValueReader reader(bytes, kFormat);
  RoomRecord record;
  record.id = RoomId::trusted(std::string(reader.text()));
  record.version = reader.text();
  record.extremities.resize(std::min<uint64_t>(reader.varint(), kExtremitiesMax));
  for (EventNumber& number : record.extremities)
    number = reader.varint();
  record.state.node = reader.varint();
  record.state.hash = reader.fixed64();
  record.last_event = reader.varint();
  record.last_node = reader.varint();
  record.max_depth = reader.signed_varint();
  record.joined = reader.varint();
  record.invited = reader.varint();
  record.notifying = reader.varint();
  const uint64_t flags = reader.varint();
  record.local_joined = (flags & 1) != 0;
  record.was_partial = (flags & 2) != 0;
  record.partial = (flags & 4) != 0;
  record.history_from = reader.signed_varint();
  if ((flags & 8) != 0) {
    StateRoot& edge = record.edge_state.emplace();
    edge.node = reader.varint();
    edge.hash = reader.fixed64();
  }
  POLDER_CHECK(reader.finish("room"));
  return record;
}

Result<MembershipRow> decode_membership(std::string_view bytes) {
  keys::ValueReader reader(bytes, kFormat);
  MembershipRow row;
  const uint64_t membership = reader.varint();
  row.event = reader.varint();
  row.position = reader.fixed64();
  row.forgotten = reader.boolean();
  row.stripped_state = reader.text();
  row.asked_by = EventId::trusted(std::string(reader.text()));
  POLDER_CHECK(reader.finish("membership"));
  if (membership >= kMembershipNames.size()) return fail(ErrorCode::kCorrupt, "unknown membership");
  row.membership = static_cast<Membership>(membership);
  return row;
}

}  // namespace

void put_room(kv::Batch& batch, RoomNumber room, const RoomRecord& record) {
  if (record.extremities.size() > kExtremitiesMax) std::abort();  // the engine prunes long before
  keys::ValueWriter value(kFormat);
  value.text(record.id.view()).text(record.version).varint(record.extremities.size());
  for (const EventNumber number : record.extremities)
    value.varint(number);
  value.varint(record.state.node)
      .fixed64(record.state.hash)
      .varint(record.last_event)
      .varint(record.last_node);
  value.signed_varint(record.max_depth)
      .varint(record.joined)
      .varint(record.invited)
      .varint(record.notifying);
  value.varint((record.local_joined ? 1u : 0u) | (record.was_partial ? 2u : 0u) |
               (record.partial ? 4u : 0u) | (record.edge_state ? 8u : 0u));
  value.signed_varint(record.history_from);
  if (record.edge_state) value.varint(record.edge_state->node).fixed64(record.edge_state->hash);
  batch.put(kRooms, room_key(room), value.str());
}

Result<std::optional<RoomRecord>> read_room(const kv::Snapshot& snapshot, RoomNumber room) {
  POLDER_TRY(const auto value, snapshot.get(kRooms, room_key(room)));
  if (!value) return std::optional<RoomRecord>();
  POLDER_TRY(auto record, decode_room(*value));
  return std::optional(std::move(record));
}

Status for_each_room(const kv::Snapshot& snapshot,
                     const std::function<Status(RoomNumber, const RoomRecord&)>& visit) {
  const auto rows =
      snapshot.iterate(kRooms, kv::prefix_range(keys::KeyWriter(tag_of(Row::kRoom)).str()));
  for (rows->seek_to_first(); rows->valid(); rows->next()) {
    keys::KeyReader key(rows->key());
    key.u8();
    const RoomNumber room = key.u64();
    POLDER_TRY(const RoomRecord record, decode_room(rows->value()));
    POLDER_CHECK(visit(room, record));
  }
  return rows->status();
}

void put_server_count(kv::Batch& batch, RoomNumber room, ServerNumber server, uint64_t joined) {
  const keys::KeyWriter key = keys::KeyWriter(kServerTag).u64(room).u64(server);
  if (joined == 0) {
    batch.erase(kRooms, key);
  } else {
    batch.put(kRooms, key, keys::ValueWriter(kFormat).varint(joined).str());
  }
}

Result<std::vector<std::pair<ServerNumber, uint64_t>>> read_server_counts(
    const kv::Snapshot& snapshot, RoomNumber room) {
  std::vector<std::pair<ServerNumber, uint64_t>> counts;
  const auto rows =
      snapshot.iterate(kRooms, kv::prefix_range(keys::KeyWriter(kServerTag).u64(room).str()));
  for (rows->seek_to_first(); rows->valid(); rows->next()) {
    keys::KeyReader key(rows->key());
    key.u8();
    key.u64();
    const ServerNumber server = key.u64();
    keys::ValueReader reader(rows->value(), kFormat);
    const uint64_t joined = reader.varint();
    POLDER_CHECK(reader.finish("members of a server"));
    counts.emplace_back(server, joined);
  }
  POLDER_CHECK(rows->status());
  return counts;
}

Result<bool> is_server_in_room(const kv::Snapshot& snapshot, RoomNumber room, ServerNumber server) {
  POLDER_TRY(const auto value,
             snapshot.get(kRooms, keys::KeyWriter(kServerTag).u64(room).u64(server)));
  return value.has_value();
}

Membership membership_from(std::string_view text) {
  for (size_t i = 1; i < kMembershipNames.size(); ++i) {
    if (kMembershipNames[i] == text) return static_cast<Membership>(i);
  }
  return Membership::kNone;
}

std::string_view to_string(Membership membership) {
  return kMembershipNames[static_cast<size_t>(membership)];
}

void put_membership(kv::Batch& batch, UserNumber user, RoomNumber room, const MembershipRow& row,
                    std::optional<kv::PositionSlot> slot) {
  keys::ValueWriter value(kFormat);
  value.varint(static_cast<uint64_t>(row.membership)).varint(row.event);
  slot ? value.position(*slot) : value.fixed64(row.position);
  value.boolean(row.forgotten).text(row.stripped_state).text(row.asked_by.view());
  batch.put(kMemberships, membership_key(user, room), {}, value, value.patches());
}

Membership membership_in(std::string_view value) {
  const uint64_t membership = keys::ValueReader(value, kFormat).varint();
  return membership < kMembershipNames.size() ? static_cast<Membership>(membership)
                                              : Membership::kNone;
}

Result<std::optional<MembershipRow>> read_membership(const kv::Snapshot& snapshot, UserNumber user,
                                                     RoomNumber room) {
  POLDER_TRY(const auto value, snapshot.get(kMemberships, membership_key(user, room)));
  if (!value) return std::optional<MembershipRow>();
  POLDER_TRY(auto row, decode_membership(*value));
  return std::optional(std::move(row));
}

Result<std::vector<std::pair<RoomNumber, MembershipRow>>> read_rooms_of(
    const kv::Snapshot& snapshot, UserNumber user) {
  std::vector<std::pair<RoomNumber, MembershipRow>> rooms;
  const auto rows =
      snapshot.iterate(kMemberships, kv::prefix_range(keys::KeyWriter().u64(user).str()));
  for (rows->seek_to_first(); rows->valid(); rows->next()) {
    keys::KeyReader key(rows->key());
    key.u64();
    const RoomNumber room = key.u64();
    POLDER_TRY(auto row, decode_membership(rows->value()));
    rooms.emplace_back(room, std::move(row));
  }
  POLDER_CHECK(rows->status());
  return rooms;
}

Status for_each_membership(
    const kv::Snapshot& snapshot,
    const std::function<Status(UserNumber, RoomNumber, const MembershipRow&)>& visit) {
  const auto rows = snapshot.iterate(kMemberships, {});
  for (rows->seek_to_first(); rows->valid(); rows->next()) {
    keys::KeyReader key(rows->key());
    const UserNumber user = key.u64();
    const RoomNumber room = key.u64();
    if (!key.at_end()) return fail(ErrorCode::kCorrupt, "damaged key in column memberships");
    POLDER_TRY(const auto row, decode_membership(rows->value()));
    POLDER_CHECK(visit(user, room, row));
  }
  return rows->status();
}

void put_outsider(kv::Batch& batch, RoomNumber room, UserNumber user) {
  batch.put(kRooms, keys::KeyWriter(kOutsiderTag).u64(room).u64(user),
            keys::ValueWriter(kFormat).str());
}

void erase_outsider(kv::Batch& batch, RoomNumber room, UserNumber user) {
  batch.erase(kRooms, keys::KeyWriter(kOutsiderTag).u64(room).u64(user));
}

Result<std::vector<UserNumber>> read_outsiders(const kv::Snapshot& snapshot, RoomNumber room) {
  std::vector<UserNumber> users;
  const auto rows =
      snapshot.iterate(kRooms, kv::prefix_range(keys::KeyWriter(kOutsiderTag).u64(room).str()));
  for (rows->seek_to_first(); rows->valid(); rows->next()) {
    keys::KeyReader key(rows->key());
    key.u8();
    key.u64();
    users.push_back(key.u64());
  }
  POLDER_CHECK(rows->status());
  return users;
}

void put_stream_event(kv::Batch& batch, kv::PositionSlot slot, EventPlace place) {
  keys::put(batch, kStreams, keys::KeyWriter(tag_of(Row::kEventStream)).position(slot),
            keys::ValueWriter(kFormat).varint(place.room).varint(place.number));
}

void erase_stream_event(kv::Batch& batch, kv::Position position) {
  batch.erase(kStreams, keys::KeyWriter(tag_of(Row::kEventStream)).u64(position));
}

Result<StreamEvent> stream_event_of(kv::Position position, std::string_view value) {
  StreamEvent event;
  event.position = position;
  keys::ValueReader reader(value, kFormat);
  event.place.room = reader.varint();
  event.place.number = reader.varint();
  POLDER_CHECK(reader.finish("event stream"));
  return event;
}

Result<std::vector<StreamEvent>> read_stream_events(const kv::Snapshot& snapshot, kv::Position from,
                                                    kv::Position to, size_t limit) {
  std::vector<StreamEvent> events;
  const auto rows =
      snapshot.iterate(kStreams, {keys::KeyWriter(tag_of(Row::kEventStream)).u64(from + 1).str(),
                                  keys::KeyWriter(tag_of(Row::kEventStream)).u64(to + 1).str()});
  for (rows->seek_to_first(); rows->valid() && events.size() < limit; rows->next()) {
    keys::KeyReader key(rows->key());
    key.u8();
    POLDER_TRY(const StreamEvent event, stream_event_of(key.u64(), rows->value()));
    events.push_back(event);
  }
  POLDER_CHECK(rows->status());
  return events;
}

}  // namespace polder::stores
