// Whose devices the client has to look up again, and whose it may forget.
// https://spec.matrix.org/v1.19/client-server-api/#tracking-the-device-list-for-a-user
#pragma once

#include "homeserver/sync/classic/stream.h"

namespace polder::sync {

class DeviceListStream final : public Stream {
 public:
  Result<bool> write(const Reading& reading, Part part, json::Writer& writer) override;
};

}  // namespace polder::sync
