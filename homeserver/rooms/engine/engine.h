// The room engine: the parts of homeserver/rooms plugged together. For who composes a server, and
// for tests; all others hold the part that they use.
#pragma once

#include "homeserver/base/crypto/keys.h"
#include "homeserver/base/runtime/runtime.h"
#include "homeserver/base/values/ids.h"
#include "homeserver/rooms/model/ports.h"
#include "homeserver/rooms/model/source.h"
#include "homeserver/rooms/turns/rooms.h"
#include "homeserver/rooms/upkeep/upkeep.h"
#include "homeserver/rooms/write/writer.h"
#include "storage/kv/committer.h"
#include "storage/kv/kv.h"
#include "storage/stores/base/names.h"

namespace polder::rooms {

// What the engine is made of; all outlive it.
struct EngineParts {
  runtime::Runtime& runtime;
  kv::Database& database;
  kv::Committer& committer;
  stores::Names& names;
  ServerName own_name;
  const crypto::SigningKey& signing_key;
  KeySource& keys;
  RemoteServers& remote;
  StepSizes steps = {};
  size_t cache_bytes = kCacheBytes;  // of what was read of rooms, decoded
  size_t rooms_held = kRoomsHeld;    // in memory, besides those in use; of each shard
};

struct RoomEngine {
  explicit RoomEngine(EngineParts parts);

  const RoomSource& source() const { return rooms.source(); }

  Rooms rooms;
  RoomWriter writer;
  RoomUpkeep upkeep;
};

}  // namespace polder::rooms
