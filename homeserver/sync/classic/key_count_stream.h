// How many of its keys the device has left here.
// https://spec.matrix.org/v1.19/client-server-api/#extensions-to-sync
#pragma once

#include "homeserver/sync/classic/stream.h"

namespace polder::sync {

// Always told, and never news.
class KeyCountStream final : public Stream {
 public:
  Result<bool> write(const Reading& reading, Part part, json::Writer& writer) override;
};

}  // namespace polder::sync
