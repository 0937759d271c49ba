// Read receipts.
// https://spec.matrix.org/v1.19/client-server-api/#receipts
#pragma once

#include "homeserver/sync/classic/stream.h"

namespace polder::sync {

class ReceiptStream final : public Stream {
 public:
  bool has_news(const Reading& reading, stores::RoomNumber room) const override;
  // Others' private receipts are left out.
  Result<bool> write_room(const Reading& reading, const RoomReading& room, Part part,
                          json::Writer& writer) override;
};

}  // namespace polder::sync
