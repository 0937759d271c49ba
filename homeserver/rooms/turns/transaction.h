// Requests of clients that they may repeat.
#pragma once

#include <compare>
#include <string>

#include "homeserver/base/values/ids.h"
#include "storage/stores/base/names.h"

namespace polder::rooms {

// A request that its client may repeat: what has the same path and id, from the same device, is the
// same request. https://spec.matrix.org/v1.19/client-server-api/#transaction-identifiers
struct Transaction {
  stores::UserNumber user = 0;
  DeviceId device{};
  std::string path{};  // but for the id
  std::string id{};
  friend auto operator<=>(const Transaction&, const Transaction&) = default;
};

}  // namespace polder::rooms
