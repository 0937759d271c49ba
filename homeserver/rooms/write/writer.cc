#include "homeserver/rooms/write/writer.h"

#include "homeserver/rooms/write/permission.h"

namespace polder::rooms {

RoomWriter::RoomWriter(Rooms& rooms, WriterParts parts)
    : rooms_(rooms),
      parts_(rooms.parts()),
      signing_key_(parts.signing_key),
      keys_(parts.keys),
      remote_(parts.remote),
      steps_(parts.steps),
      caches_(rooms.caches()),
      context_{parts_.names,        caches_,       parts_.own_name, contributors_,
               default_push_rules_, steps_.changes},
      audit_(std::make_unique<Audit>(parts_.runtime, parts_.committer)) {}

RoomWriter::~RoomWriter() = default;

void RoomWriter::add_contributor(Contributor& contributor) {
  contributors_.push_back(&contributor);
}

}  // namespace polder::rooms
