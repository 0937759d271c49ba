// The local room directory: aliases of this server.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "homeserver/base/values/ids.h"
#include "storage/kv/kv.h"

namespace polder::stores {

struct AliasRow {
  RoomId room;
  UserId creator;
};
void put_alias(kv::Batch& batch, const RoomAlias& alias, const AliasRow& row);
void erase_alias(kv::Batch& batch, const RoomAlias& alias, const RoomId& room);
Result<std::optional<AliasRow>> read_alias(const kv::Snapshot& snapshot, const RoomAlias& alias);
Result<std::vector<RoomAlias>> read_aliases_of(const kv::Snapshot& snapshot, const RoomId& room);
// Every row by alias, and every row by room: each alias has one of both.
Status for_each_alias(const kv::Snapshot& snapshot,
                      const std::function<Status(const RoomAlias&, const RoomId&)>& by_alias,
                      const std::function<Status(const RoomAlias&, const RoomId&)>& by_room);

}  // namespace polder::stores
