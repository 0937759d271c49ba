#include "storage/stores/base/cursor_rows.h"

#include "storage/keys/key.h"
#include "storage/keys/value.h"
#include "storage/stores/base/rows.h"

namespace polder::stores {
namespace {

constexpr uint8_t kFormat = 1;
constexpr uint8_t kCursorTag = tag_of(Row::kCursor);

struct Place {
  kv::ColumnId column;
  std::string key;
};

// Those of federation stand where they stood before there were others.
Place place_of(std::string_view follower) {
  if (follower == kFederationFollower)
    return {kFederation, keys::KeyWriter(tag_of(Row::kDispatched)).str()};
  if (follower == kDeviceListFollower)
    return {kFederation, keys::KeyWriter(tag_of(Row::kListsDispatched)).str()};
  return {kStreams, keys::KeyWriter(kCursorTag).tail(follower).str()};
}

Result<kv::Position> decode(std::string_view bytes) {
  keys::ValueReader reader(bytes, kFormat);
  const kv::Position position = reader.fixed64();
  POLDER_CHECK(reader.finish("a follower's place in the log"));
  return position;
}

}  // namespace

void put_cursor(kv::Batch& batch, std::string_view follower, kv::Position position) {
  const Place place = place_of(follower);
  batch.put(place.column, place.key, keys::ValueWriter(kFormat).fixed64(position).str());
}

Result<std::optional<kv::Position>> read_cursor(const kv::Snapshot& snapshot,
                                                std::string_view follower) {
  const Place place = place_of(follower);
  POLDER_TRY(const auto value, snapshot.get(place.column, place.key));
  if (!value) return std::optional<kv::Position>();
  POLDER_TRY(const kv::Position position, decode(*value));
  return std::optional(position);
}

Result<std::map<std::string, kv::Position>> read_cursors(const kv::Snapshot& snapshot) {
  std::map<std::string, kv::Position> cursors;
  for (const std::string_view follower : {kFederationFollower, kDeviceListFollower}) {
    POLDER_TRY(const auto position, read_cursor(snapshot, follower));
    if (position) cursors.emplace(follower, *position);
  }
  const auto rows = snapshot.iterate(kStreams, kv::prefix_range(keys::KeyWriter(kCursorTag).str()));
  for (rows->seek_to_first(); rows->valid(); rows->next()) {
    POLDER_TRY(const kv::Position position, decode(rows->value()));
    cursors.emplace(rows->key().substr(1), position);
  }
  POLDER_CHECK(rows->status());
  return cursors;
}

}  // namespace polder::stores
