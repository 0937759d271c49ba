#include "storage/stores/rooms/time_rows.h"

#include <algorithm>

#include "storage/keys/key.h"
#include "storage/keys/value.h"
#include "storage/stores/base/rows.h"

namespace polder::stores {
namespace {

constexpr uint8_t kFormat = 1;
constexpr uint8_t kByTime = tag_of(Row::kEventTime);

uint64_t clamped(int64_t time_ms) {
  return static_cast<uint64_t>(std::max<int64_t>(time_ms, 0));
}

std::string time_key(RoomNumber room, TimeEntry at) {
  return keys::KeyWriter(kByTime).u64(room).u64(clamped(at.time_ms)).u64(at.number).str();
}

// The first key after those of the place.
std::string after(RoomNumber room, TimeEntry at) {
  return time_key(room, at) + '\0';
}

Result<std::vector<TimeEntry>> collect(kv::Iterator& rows, size_t limit, bool forwards) {
  std::vector<TimeEntry> entries;
  for (; rows.valid() && entries.size() < limit; forwards ? rows.next() : rows.prev()) {
    keys::KeyReader key(rows.key());
    key.u8();
    key.u64();
    TimeEntry entry;
    entry.time_ms = static_cast<int64_t>(key.u64());
    entry.number = key.u64();
    if (!key.at_end()) return fail(ErrorCode::kCorrupt, "damaged key in column timelines");
    entries.push_back(entry);
  }
  POLDER_CHECK(rows.status());
  return entries;
}

}  // namespace

void put_event_time(kv::Batch& batch, EventPlace place, int64_t time_ms) {
  batch.put(kTimelines, time_key(place.room, {time_ms, place.number}),
            keys::ValueWriter(kFormat).str());
}

void erase_event_time(kv::Batch& batch, EventPlace place, int64_t time_ms) {
  batch.erase(kTimelines, time_key(place.room, {time_ms, place.number}));
}

Result<std::vector<TimeEntry>> read_from_time(const kv::Snapshot& snapshot, RoomNumber room,
                                              TimeEntry from, size_t limit) {
  const auto rows =
      snapshot.iterate(kTimelines, {time_key(room, from), time_key(room + 1, TimeEntry())});
  rows->seek_to_first();
  return collect(*rows, limit, true);
}

Result<std::vector<TimeEntry>> read_to_time(const kv::Snapshot& snapshot, RoomNumber room,
                                            TimeEntry to, size_t limit) {
  const auto rows = snapshot.iterate(kTimelines, {time_key(room, TimeEntry()), after(room, to)});
  rows->seek_to_last();
  return collect(*rows, limit, false);
}

}  // namespace polder::stores
