#include "storage/stores/rooms/event_rows.h"

#include "homeserver/base/values/bytes.h"
#include "storage/keys/key.h"
#include "storage/keys/value.h"
#include "storage/stores/base/rows.h"

namespace polder::stores {
namespace {

constexpr uint8_t kJsonFormat = 1;
constexpr uint8_t kRecordFormat = 1;
constexpr uint8_t kIdFormat = 1;
constexpr uint8_t kTimelineFormat = 1;
constexpr uint8_t kByPosition = tag_of(Row::kTimeline);
constexpr uint8_t kByDepth = tag_of(Row::kHistory);
constexpr uint8_t kIdHash = tag_of(Row::kEventByHash);
constexpr uint8_t kIdText = tag_of(Row::kEventByText);
constexpr uint8_t kIdStandardHash = tag_of(Row::kEventByStandardHash);
constexpr size_t kLinksMax = 64;  // more than any format allows; a damaged count is noticed

std::string event_key(EventPlace place) {
  return keys::KeyWriter().u64(place.room).u64(place.number).str();
}

void write_root(keys::ValueWriter& value, StateRoot root) {
  value.varint(root.node);
  if (root.node != 0) value.fixed64(root.hash);
}

StateRoot read_root(keys::ValueReader& reader) {
  StateRoot root;
  root.node = reader.varint();
  if (root.node != 0) root.hash = reader.fixed64();
  return root;
}

void write_links(keys::ValueWriter& value, const std::vector<EventNumber>& links) {
  value.varint(links.size());
  for (const EventNumber link : links)
    value.varint(link);
}

std::vector<EventNumber> read_links(keys::ValueReader& reader) {
  std::vector<EventNumber> links(std::min<uint64_t>(reader.varint(), kLinksMax));
  for (EventNumber& link : links)
    link = reader.varint();
  return links;
}

keys::ValueWriter encode_record(const EventRecord& record, std::optional<kv::PositionSlot> slot) {
  const Standing& standing = record.standing;
  keys::ValueWriter value(kRecordFormat);
  value.varint((standing.outlier ? 1u : 0u) | (standing.rejected ? 2u : 0u) |
               (standing.soft_failed ? 4u : 0u) | (standing.backfilled ? 8u : 0u) |
               (record.room_state ? 16u : 0u) | (record.room_depth > record.depth ? 32u : 0u) |
               (standing.partial ? 64u : 0u));
  slot ? value.position(*slot) : value.fixed64(record.position);
  value.varint(static_cast<uint64_t>(record.depth));
  if (record.room_depth > record.depth) value.varint(static_cast<uint64_t>(record.room_depth));
  write_root(value, record.state_before);
  // Most events change no state; their two roots are one.
  value.boolean(record.state_after == record.state_before);
  if (record.state_after != record.state_before) write_root(value, record.state_after);
  if (record.room_state) write_root(value, *record.room_state);
  write_links(value, record.prev_events);
  write_links(value, record.auth_events);
  return value;
}

Result<EventRecord> decode_record(std::string_view bytes) {
  keys::ValueReader reader(bytes, kRecordFormat);
  EventRecord record;
  const uint64_t flags = reader.varint();
  record.standing.outlier = (flags & 1) != 0;
  record.standing.rejected = (flags & 2) != 0;
  record.standing.soft_failed = (flags & 4) != 0;
  record.standing.backfilled = (flags & 8) != 0;
  record.standing.partial = (flags & 64) != 0;
  record.position = reader.fixed64();
  record.depth = static_cast<int64_t>(reader.varint());
  record.room_depth = (flags & 32) != 0 ? static_cast<int64_t>(reader.varint()) : record.depth;
  record.state_before = read_root(reader);
  record.state_after = reader.boolean() ? record.state_before : read_root(reader);
  if ((flags & 16) != 0) record.room_state = read_root(reader);
  record.prev_events = read_links(reader);
  record.auth_events = read_links(reader);
  POLDER_CHECK(reader.finish("event record"));
  return record;
}

Result<EventNumber> decode_number(std::string_view value) {
  keys::ValueReader reader(value, kTimelineFormat);
  const EventNumber number = reader.varint();
  POLDER_CHECK(reader.finish("timeline entry"));
  return number;
}

std::string timeline_key(RoomNumber room, kv::Position position) {
  return keys::KeyWriter(kByPosition).u64(room).u64(position).str();
}

std::string depth_key(RoomNumber room, DepthPlace place) {
  return keys::KeyWriter(kByDepth)
      .u64(room)
      .u64(static_cast<uint64_t>(place.depth))
      .u64(place.position)
      .str();
}

}  // namespace

// Ids that are hashes are kept as their 32 bytes; both alphabets of base64 lead to the same row
// only if the text is canonical, so anything else is kept as text.
std::string event_id_bytes(const EventId& id) {
  const std::string_view text = id.view().substr(1);
  for (const auto [alphabet, tag] : {std::pair(base::Base64::kUrlSafe, kIdHash),
                                     std::pair(base::Base64::kStandard, kIdStandardHash)}) {
    const auto raw = base::base64_decode(text, alphabet);
    if (raw.ok() && raw->size() == 32 && base::base64_encode(as_bytes(*raw), alphabet) == text) {
      return keys::KeyWriter(tag).tail(*raw).str();
    }
  }
  return keys::KeyWriter(kIdText).tail(text).str();
}

void put_event(kv::Batch& batch, EventPlace place, const EventId& id, std::string_view json,
               const EventRecord& record, std::optional<kv::PositionSlot> slot) {
  batch.put(kEvents, event_key(place), keys::ValueWriter(kJsonFormat).tail(json).str());
  const keys::ValueWriter value = encode_record(record, slot);
  batch.put(kEventRecords, event_key(place), {}, value, value.patches());
  batch.put(kEventIds, event_id_bytes(id),
            keys::ValueWriter(kIdFormat).varint(place.room).varint(place.number).str());
  if (!slot) return;
  const auto number = keys::ValueWriter(kTimelineFormat).varint(place.number);
  const Standing& standing = record.standing;
  if (standing.rejected || standing.soft_failed) return;
  if (!standing.backfilled) {
    keys::put(batch, kTimelines, keys::KeyWriter(kByPosition).u64(place.room).position(*slot),
              number);
  }
  keys::put(batch, kTimelines,
            keys::KeyWriter(kByDepth)
                .u64(place.room)
                .u64(static_cast<uint64_t>(record.depth))
                .position(*slot),
            number);
}

void put_event_record(kv::Batch& batch, EventPlace place, const EventRecord& record) {
  batch.put(kEventRecords, event_key(place), encode_record(record, std::nullopt).str());
}

void erase_from_timelines(kv::Batch& batch, RoomNumber room, const EventRecord& record) {
  batch.erase(kTimelines, timeline_key(room, record.position));
  batch.erase(kTimelines, depth_key(room, {record.depth, record.position}));
}

Result<std::optional<EventPlace>> find_event(const kv::Snapshot& snapshot, const EventId& id) {
  return find_event_by_bytes(snapshot, event_id_bytes(id));
}

Result<std::optional<EventPlace>> find_event_by_bytes(const kv::Snapshot& snapshot,
                                                      std::string_view id_bytes) {
  POLDER_TRY(const auto value, snapshot.get(kEventIds, id_bytes));
  if (!value) return std::optional<EventPlace>();
  keys::ValueReader reader(*value, kIdFormat);
  EventPlace place;
  place.room = reader.varint();
  place.number = reader.varint();
  POLDER_CHECK(reader.finish("event id"));
  return std::optional(place);
}

Result<std::optional<EventRecord>> read_event_record(const kv::Snapshot& snapshot,
                                                     EventPlace place) {
  POLDER_TRY(const auto value, snapshot.get(kEventRecords, event_key(place)));
  if (!value) return std::optional<EventRecord>();
  POLDER_TRY(auto record, decode_record(*value));
  return std::optional(std::move(record));
}

Result<std::optional<std::string>> read_event_json(const kv::Snapshot& snapshot, EventPlace place) {
  const EventNumber number = place.number;
  POLDER_TRY(auto jsons, read_event_jsons(snapshot, place.room, {&number, 1}));
  return std::move(jsons.front());
}

Result<std::vector<std::optional<std::string>>> read_event_jsons(
    const kv::Snapshot& snapshot, RoomNumber room, std::span<const EventNumber> numbers) {
  std::vector<std::string> event_keys;
  event_keys.reserve(numbers.size());
  for (const EventNumber number : numbers)
    event_keys.push_back(event_key({room, number}));
  POLDER_TRY(auto values, snapshot.multi_get(kEvents, event_keys));
  for (auto& value : values) {
    if (!value) continue;
    if (value->empty() || (*value)[0] != static_cast<char>(kJsonFormat)) {
      return fail(ErrorCode::kCorrupt, "damaged record: event");
    }
    value->erase(0, 1);
  }
  return values;
}

namespace {

// Reads up to limit entries of one index, from the iterator's place on.
template <class Entry, class Decode>
Result<std::vector<Entry>> collect(kv::Iterator& rows, size_t limit, bool forwards, Decode decode) {
  std::vector<Entry> entries;
  for (; rows.valid() && entries.size() < limit; forwards ? rows.next() : rows.prev()) {
    keys::KeyReader key(rows.key());
    key.u8();
    key.u64();
    Entry entry = decode(key);
    if (!key.at_end()) return fail(ErrorCode::kCorrupt, "damaged key in column timelines");
    POLDER_TRY(entry.number, decode_number(rows.value()));
    entries.push_back(entry);
  }
  POLDER_CHECK(rows.status());
  return entries;
}

TimelineEntry decode_timeline(keys::KeyReader& key) {
  return {key.u64(), 0};
}

DepthEntry decode_depth(keys::KeyReader& key) {
  DepthEntry entry;
  entry.place.depth = static_cast<int64_t>(key.u64());
  entry.place.position = key.u64();
  return entry;
}

}  // namespace

Result<std::vector<TimelineEntry>> read_timeline_backwards(const kv::Snapshot& snapshot,
                                                           RoomNumber room, kv::Position from,
                                                           kv::Position to, size_t limit) {
  const auto rows =
      snapshot.iterate(kTimelines, {timeline_key(room, from + 1), timeline_key(room, to + 1)});
  rows->seek_to_last();
  return collect<TimelineEntry>(*rows, limit, false, decode_timeline);
}

Result<std::vector<TimelineEntry>> read_timeline_forwards(const kv::Snapshot& snapshot,
                                                          RoomNumber room, kv::Position from,
                                                          kv::Position to, size_t limit) {
  const auto rows =
      snapshot.iterate(kTimelines, {timeline_key(room, from + 1), timeline_key(room, to + 1)});
  rows->seek_to_first();
  return collect<TimelineEntry>(*rows, limit, true, decode_timeline);
}

Result<std::vector<DepthEntry>> read_before(const kv::Snapshot& snapshot, RoomNumber room,
                                            DepthPlace from, size_t limit) {
  const auto rows = snapshot.iterate(kTimelines, {depth_key(room, {}), depth_key(room, from)});
  rows->seek_to_last();
  return collect<DepthEntry>(*rows, limit, false, decode_depth);
}

Result<std::vector<DepthEntry>> read_from(const kv::Snapshot& snapshot, RoomNumber room,
                                          DepthPlace from, size_t limit) {
  const auto rows = snapshot.iterate(kTimelines, {depth_key(room, from), depth_key(room + 1, {})});
  rows->seek_to_first();
  return collect<DepthEntry>(*rows, limit, true, decode_depth);
}

}  // namespace polder::stores
