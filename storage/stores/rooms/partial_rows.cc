#include "storage/stores/rooms/partial_rows.h"

#include "storage/keys/key.h"
#include "storage/keys/value.h"
#include "storage/stores/base/rows.h"

namespace polder::stores {
namespace {

constexpr uint8_t kFormat = 1;
constexpr uint8_t kOriginTag = tag_of(Row::kPartialOrigin);
constexpr uint8_t kEventTag = tag_of(Row::kPartialEvent);
constexpr uint8_t kCompletedTag = tag_of(Row::kCompleted);
constexpr size_t kServersMax = 100'000;

std::string origin_key(EventPlace place) {
  return keys::KeyWriter(kOriginTag).u64(place.room).u64(place.number).str();
}

Result<PartialOrigin> decode_origin(std::string_view bytes) {
  keys::ValueReader reader(bytes, kFormat);
  PartialOrigin origin;
  origin.since_ms = reader.signed_varint();
  const uint64_t count = std::min<uint64_t>(reader.varint(), kServersMax);
  for (uint64_t i = 0; i < count && reader.ok(); ++i)
    origin.servers.push_back(ServerName::trusted(std::string(reader.text())));
  POLDER_CHECK(reader.finish("origin of a partial state"));
  return origin;
}

}  // namespace

void put_partial_origin(kv::Batch& batch, EventPlace place, const PartialOrigin& origin) {
  keys::ValueWriter value(kFormat);
  const size_t count = std::min(origin.servers.size(), kServersMax);
  value.signed_varint(origin.since_ms).varint(count);
  for (size_t i = 0; i < count; ++i)
    value.text(origin.servers[i].view());
  batch.put(kRooms, origin_key(place), value.str());
}

void erase_partial_origin(kv::Batch& batch, EventPlace place) {
  batch.erase(kRooms, origin_key(place));
}

Result<std::vector<std::pair<EventNumber, PartialOrigin>>> read_partial_origins(
    const kv::Snapshot& snapshot, RoomNumber room) {
  std::vector<std::pair<EventNumber, PartialOrigin>> origins;
  const auto rows =
      snapshot.iterate(kRooms, kv::prefix_range(keys::KeyWriter(kOriginTag).u64(room).str()));
  for (rows->seek_to_first(); rows->valid(); rows->next()) {
    keys::KeyReader key(rows->key());
    key.u8();
    key.u64();
    const EventNumber number = key.u64();
    POLDER_TRY(auto origin, decode_origin(rows->value()));
    origins.emplace_back(number, std::move(origin));
  }
  POLDER_CHECK(rows->status());
  return origins;
}

void put_partial_event(kv::Batch& batch, EventPlace place, kv::PositionSlot slot) {
  keys::put(batch, kRooms, keys::KeyWriter(kEventTag).u64(place.room).position(slot),
            keys::ValueWriter(kFormat).varint(place.number));
}

void erase_partial_event(kv::Batch& batch, RoomNumber room, kv::Position position) {
  batch.erase(kRooms, keys::KeyWriter(kEventTag).u64(room).u64(position));
}

Result<std::vector<PartialEvent>> read_partial_events(const kv::Snapshot& snapshot, RoomNumber room,
                                                      size_t limit) {
  std::vector<PartialEvent> events;
  const auto rows =
      snapshot.iterate(kRooms, kv::prefix_range(keys::KeyWriter(kEventTag).u64(room).str()));
  for (rows->seek_to_first(); rows->valid() && events.size() < limit; rows->next()) {
    keys::KeyReader key(rows->key());
    key.u8();
    key.u64();
    keys::ValueReader value(rows->value(), kFormat);
    events.push_back({key.u64(), value.varint()});
    POLDER_CHECK(value.finish("event with a partial state"));
  }
  POLDER_CHECK(rows->status());
  return events;
}

void put_completed_at(kv::Batch& batch, RoomNumber room, kv::PositionSlot slot) {
  keys::put(batch, kRooms, keys::KeyWriter(kCompletedTag).u64(room),
            keys::ValueWriter(kFormat).position(slot));
}

Result<kv::Position> read_completed_at(const kv::Snapshot& snapshot, RoomNumber room) {
  POLDER_TRY(const auto value, snapshot.get(kRooms, keys::KeyWriter(kCompletedTag).u64(room)));
  if (!value) return kv::Position{0};
  keys::ValueReader reader(*value, kFormat);
  const kv::Position position = reader.fixed64();
  POLDER_CHECK(reader.finish("completion of a state"));
  return position;
}

}  // namespace polder::stores
