// Where rooms are read from. It knows nothing of who changes them.
#pragma once

#include <optional>

#include "homeserver/base/runtime/runtime.h"
#include "homeserver/base/values/ids.h"
#include "homeserver/rooms/model/heads.h"
#include "homeserver/rooms/model/room_view.h"
#include "storage/kv/kv.h"
#include "storage/stores/base/names.h"

namespace polder::rooms {

// All outlive it. Thread-safe.
struct RoomSource {
  runtime::Runtime& runtime;
  kv::Database& database;
  stores::Names& names;
  ServerName own_name;
  Caches& caches;
  const RoomHeads& heads;

  // Nothing if the room is not known here.
  Result<std::optional<RoomNumber>> find(const RoomId& room) const;
  // Null if the room is not known here.
  RoomHeadPtr head(RoomNumber room) const { return heads.find(room); }
  Result<RoomHeadPtr> head(const RoomId& room) const;
};

// A room as it is on disk, read outside of its turn. Synchronous; on the pool.
class StoredRoom {
 public:
  StoredRoom(const RoomSource& rooms, const RoomHead& head, Content content = Content::kAsSent)
      : snapshot_(rooms.database.snapshot()),
        content_(head.number, head.rules),
        view_(content_, *snapshot_, rooms.names, rooms.caches, content) {}
  StoredRoom(const StoredRoom&) = delete;
  StoredRoom& operator=(const StoredRoom&) = delete;

  RoomView& view() { return view_; }

 private:
  const std::shared_ptr<const kv::Snapshot> snapshot_;
  const RoomContent content_;
  RoomView view_;
};

// Servers of the room that may have what is missing here, those with most members first, at most
// three. Synchronous; on the pool.
Result<std::vector<ServerName>> servers_to_ask(const RoomSource& rooms, const RoomHead& head);

}  // namespace polder::rooms
