#include "storage/stores/rooms/directory_rows.h"

#include "storage/keys/key.h"
#include "storage/keys/value.h"
#include "storage/stores/base/rows.h"

namespace polder::stores {
namespace {

constexpr uint8_t kFormat = 1;
constexpr uint8_t kAliasTag = tag_of(Row::kAlias);
constexpr uint8_t kRoomTag = tag_of(Row::kAliasOfRoom);

std::string alias_key(const RoomAlias& alias) {
  return keys::KeyWriter(kAliasTag).tail(alias.view()).str();
}
std::string room_key(const RoomId& room, std::string_view alias) {
  return keys::KeyWriter(kRoomTag).text(room.view()).tail(alias).str();
}

Result<AliasRow> decode_alias(std::string_view bytes) {
  keys::ValueReader reader(bytes, kFormat);
  AliasRow row;
  row.room = RoomId::trusted(std::string(reader.text()));
  row.creator = UserId::trusted(std::string(reader.text()));
  POLDER_CHECK(reader.finish("alias"));
  return row;
}

}  // namespace

void put_alias(kv::Batch& batch, const RoomAlias& alias, const AliasRow& row) {
  batch.put(kDirectory, alias_key(alias),
            keys::ValueWriter(kFormat).text(row.room.view()).text(row.creator.view()).str());
  batch.put(kDirectory, room_key(row.room, alias.view()), keys::ValueWriter(kFormat).str());
}

void erase_alias(kv::Batch& batch, const RoomAlias& alias, const RoomId& room) {
  batch.erase(kDirectory, alias_key(alias));
  batch.erase(kDirectory, room_key(room, alias.view()));
}

Result<std::optional<AliasRow>> read_alias(const kv::Snapshot& snapshot, const RoomAlias& alias) {
  POLDER_TRY(const auto value, snapshot.get(kDirectory, alias_key(alias)));
  if (!value) return std::optional<AliasRow>();
  POLDER_TRY(AliasRow row, decode_alias(*value));
  return std::optional(std::move(row));
}

Status for_each_alias(const kv::Snapshot& snapshot,
                      const std::function<Status(const RoomAlias&, const RoomId&)>& by_alias,
                      const std::function<Status(const RoomAlias&, const RoomId&)>& by_room) {
  const auto rows = snapshot.iterate(kDirectory, {});
  for (rows->seek_to_first(); rows->valid(); rows->next()) {
    keys::KeyReader key(rows->key());
    const uint8_t tag = key.u8();
    if (tag == kAliasTag) {
      POLDER_TRY(const AliasRow row, decode_alias(rows->value()));
      POLDER_CHECK(by_alias(RoomAlias::trusted(std::string(key.tail())), row.room));
    } else if (tag == kRoomTag) {
      const RoomId room = RoomId::trusted(std::string(key.text()));
      POLDER_CHECK(by_room(RoomAlias::trusted(std::string(key.tail())), room));
    }
  }
  return rows->status();
}

Result<std::vector<RoomAlias>> read_aliases_of(const kv::Snapshot& snapshot, const RoomId& room) {
  std::vector<RoomAlias> aliases;
  const std::string prefix = room_key(room, "");
  const auto rows = snapshot.iterate(kDirectory, kv::prefix_range(prefix));
  for (rows->seek_to_first(); rows->valid(); rows->next()) {
    aliases.push_back(RoomAlias::trusted(std::string(rows->key().substr(prefix.size()))));
  }
  POLDER_CHECK(rows->status());
  return aliases;
}

}  // namespace polder::stores
