#include "storage/stores/rooms/push_rows.h"

#include "storage/keys/key.h"
#include "storage/keys/value.h"
#include "storage/stores/base/rows.h"
#include "storage/stores/rooms/room_rows.h"

namespace polder::stores {
namespace {

constexpr uint8_t kFormat = 1;
constexpr uint8_t kNotifyingTag = tag_of(Row::kNotifying);
constexpr uint8_t kThreadTag = tag_of(Row::kNotifyingInThread);
constexpr uint8_t kHighlightTag = tag_of(Row::kHighlight);
constexpr uint8_t kReadTag = tag_of(Row::kReadUpTo);
constexpr size_t kHighlightsAtOnce = 2000;

std::string notifying_key(RoomNumber room, kv::Position position) {
  return keys::KeyWriter(kNotifyingTag).u64(room).u64(position).str();
}
Result<uint64_t> decode_notifying(std::string_view bytes) {
  keys::ValueReader value(bytes, kFormat);
  const uint64_t number = value.varint();
  POLDER_CHECK(value.finish("notifying event"));
  return number;
}
std::string thread_key(RoomNumber room, kv::Position position) {
  return keys::KeyWriter(kThreadTag).u64(room).u64(position).str();
}
std::string highlight_key(RoomNumber room, UserNumber user, kv::Position position) {
  return keys::KeyWriter(kHighlightTag).u64(room).u64(user).u64(position).str();
}
keys::KeyWriter read_key(RoomNumber room, UserNumber user, std::string_view thread) {
  keys::KeyWriter key(kReadTag);
  key.u64(room).u64(user).tail(thread);
  return key;
}

}  // namespace

void put_notifying(kv::Batch& batch, RoomNumber room, kv::PositionSlot slot, uint64_t number) {
  keys::put(batch, kTimelines, keys::KeyWriter(kNotifyingTag).u64(room).position(slot),
            keys::ValueWriter(kFormat).varint(number));
}

Result<uint64_t> read_notifying(const kv::Snapshot& snapshot, RoomNumber room, kv::Position up_to) {
  const auto rows =
      snapshot.iterate(kTimelines, {notifying_key(room, 0), notifying_key(room, up_to + 1)});
  rows->seek_to_last();
  if (rows->valid()) return decode_notifying(rows->value());
  POLDER_CHECK(rows->status());
  const auto later = snapshot.iterate(
      kTimelines, {notifying_key(room, up_to + 1), notifying_key(room, kv::kLastPosition)});
  later->seek_to_first();
  if (later->valid()) {
    POLDER_TRY(const uint64_t first, decode_notifying(later->value()));
    return first - 1;
  }
  POLDER_CHECK(later->status());
  return uint64_t{0};
}

Result<bool> is_notifying(const kv::Snapshot& snapshot, RoomNumber room, kv::Position position) {
  POLDER_TRY(const auto row, snapshot.get(kTimelines, notifying_key(room, position)));
  return row.has_value();
}

void erase_notifying(kv::Batch& batch, RoomNumber room, kv::Position position) {
  batch.erase(kTimelines, notifying_key(room, position));
  batch.erase(kTimelines, thread_key(room, position));
}

Result<bool> erase_highlights(const kv::Snapshot& snapshot, kv::Batch& batch, RoomNumber room,
                              std::string& cursor) {
  kv::Range range = kv::prefix_range(keys::KeyWriter(kHighlightTag).u64(room).str());
  if (!cursor.empty()) range.from = cursor;
  const auto rows = snapshot.iterate(kTimelines, range);
  size_t looked_at = 0;
  for (rows->seek_to_first(); rows->valid(); rows->next()) {
    cursor = rows->key();
    if (looked_at++ == kHighlightsAtOnce) return true;
    keys::KeyReader key(rows->key());
    key.u8();
    key.u64();
    key.u64();
    const kv::Position position = key.u64();
    POLDER_TRY(const auto event, read_stream_events(snapshot, position - 1, position, 1));
    if (event.empty()) batch.erase(kTimelines, cursor);
  }
  POLDER_CHECK(rows->status());
  return false;
}

void put_notifying_in_thread(kv::Batch& batch, RoomNumber room, kv::PositionSlot slot,
                             std::string_view thread) {
  keys::put(batch, kTimelines, keys::KeyWriter(kThreadTag).u64(room).position(slot),
            keys::ValueWriter(kFormat).tail(thread));
}

Result<std::vector<ThreadPlace>> read_notifying_in_threads(const kv::Snapshot& snapshot,
                                                           RoomNumber room, kv::Position from,
                                                           kv::Position to, size_t limit) {
  std::vector<ThreadPlace> places;
  const auto rows =
      snapshot.iterate(kTimelines, {thread_key(room, from + 1), thread_key(room, to + 1)});
  for (rows->seek_to_last(); rows->valid() && places.size() < limit; rows->prev()) {
    keys::KeyReader key(rows->key());
    key.u8();
    key.u64();
    ThreadPlace place;
    place.position = key.u64();
    keys::ValueReader value(rows->value(), kFormat);
    place.thread = value.tail();
    POLDER_CHECK(value.finish("notifying event in a thread"));
    places.push_back(std::move(place));
  }
  POLDER_CHECK(rows->status());
  return places;
}

void put_highlight(kv::Batch& batch, RoomNumber room, UserNumber user, kv::PositionSlot slot,
                   std::string_view thread, bool notifies_all) {
  keys::put(batch, kTimelines, keys::KeyWriter(kHighlightTag).u64(room).u64(user).position(slot),
            keys::ValueWriter(kFormat).boolean(notifies_all).tail(thread));
}

Result<std::vector<Highlight>> read_highlights(const kv::Snapshot& snapshot, RoomNumber room,
                                               UserNumber user, kv::Position from, kv::Position to,
                                               size_t limit) {
  std::vector<Highlight> highlights;
  const auto rows = snapshot.iterate(
      kTimelines, {highlight_key(room, user, from + 1), highlight_key(room, user, to + 1)});
  for (rows->seek_to_last(); rows->valid() && highlights.size() < limit; rows->prev()) {
    keys::KeyReader key(rows->key());
    key.u8();
    key.u64();
    key.u64();
    Highlight highlight;
    highlight.place.position = key.u64();
    keys::ValueReader value(rows->value(), kFormat);
    highlight.notifies_all = value.boolean();
    highlight.place.thread = value.tail();
    POLDER_CHECK(value.finish("highlight"));
    highlights.push_back(std::move(highlight));
  }
  POLDER_CHECK(rows->status());
  return highlights;
}

void put_read_up_to(kv::Batch& batch, RoomNumber room, UserNumber user, std::string_view thread,
                    kv::PositionSlot slot) {
  keys::put(batch, kTimelines, read_key(room, user, thread),
            keys::ValueWriter(kFormat).position(slot));
}

Result<kv::Position> read_read_up_to(const kv::Snapshot& snapshot, RoomNumber room, UserNumber user,
                                     std::string_view thread) {
  POLDER_TRY(const auto bytes, snapshot.get(kTimelines, read_key(room, user, thread)));
  if (!bytes) return kv::Position{0};
  keys::ValueReader value(*bytes, kFormat);
  const kv::Position position = value.fixed64();
  POLDER_CHECK(value.finish("read up to"));
  return position;
}

}  // namespace polder::stores
