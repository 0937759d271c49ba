// Who types.
// https://spec.matrix.org/v1.19/client-server-api/#typing-notifications
#pragma once

#include "homeserver/sync/classic/stream.h"

namespace polder::sync {

// Its part of the token counts changes since the start of the program.
class TypingStream final : public Stream {
 public:
  Status begin(Reading& reading) override;
  bool has_news(const Reading& reading, stores::RoomNumber room) const override;
  Result<bool> write_room(const Reading& reading, const RoomReading& room, Part part,
                          json::Writer& writer) override;

 private:
  uint64_t known_ = 0;  // what the client knows of
};

}  // namespace polder::sync
