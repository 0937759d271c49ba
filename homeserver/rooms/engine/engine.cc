#include "homeserver/rooms/engine/engine.h"

namespace polder::rooms {

RoomEngine::RoomEngine(EngineParts parts)
    : rooms({parts.runtime, parts.database, parts.committer, parts.names, parts.own_name,
             parts.cache_bytes, parts.rooms_held}),
      writer(rooms, {parts.signing_key, parts.keys, parts.remote, parts.steps}),
      upkeep(writer) {}

}  // namespace polder::rooms
