// Messages to the device, which go once the next token says that they came.
// https://spec.matrix.org/v1.19/client-server-api/#send-to-device-messaging
#pragma once

#include <string>
#include <vector>

#include "homeserver/sync/classic/stream.h"

namespace polder::sync {

class ToDeviceStream final : public Stream {
 public:
  Status begin(Reading& reading) override;
  Result<bool> write(const Reading& reading, Part part, json::Writer& writer) override;

 private:
  std::vector<std::pair<kv::Position, std::string>> messages_;
};

}  // namespace polder::sync
