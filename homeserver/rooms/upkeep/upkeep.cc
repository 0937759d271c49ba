#include "homeserver/rooms/upkeep/upkeep.h"

namespace polder::rooms {

RoomUpkeep::RoomUpkeep(RoomWriter& writer)
    : writer_(writer),
      rooms_(writer.rooms()),
      parts_(rooms_.parts()),
      context_(writer.stage_context()),
      caches_(rooms_.caches()) {
  for (size_t i = 0; i < parts_.runtime.shard_count(); ++i)
    shards_.push_back(std::make_unique<Shard>());
  rooms_.when_behind([this](RoomNumber number) {
    if (!shards_[rooms_.shard_of(number)]->completing.contains(number)) complete_later(number);
  });
  writer_.set_partial_states(*this);
}

RoomUpkeep::~RoomUpkeep() = default;

}  // namespace polder::rooms
