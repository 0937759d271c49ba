// Answers to queries for the keys of many users: only those of some are in memory at once.
// https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysquery
#pragma once

#include <functional>
#include <optional>
#include <string_view>

#include "homeserver/api/kit/respond.h"
#include "homeserver/base/runtime/runtime.h"
#include "homeserver/users/keys/device_keys.h"

namespace polder::kit {

struct KeyPieces {
  users::WantedKeys wanted;
  // {device_keys, master_keys, …} of some of them.
  std::function<Task<Result<json::Object>>(users::WantedKeys)> read;
  json::Object at_hand{};  // what was found before, in the same shape
  bool all_lists = false;  // also those that are empty
  std::optional<json::Object> failures{};
};

// The device keys go out as they are read; keys for cross-signing, which are few and small, are
// held until those are out. What `route` is of outlives the response.
Task<Result<http::Response>> keys_in_pieces(runtime::Runtime& runtime, const char* route,
                                            KeyPieces pieces);

}  // namespace polder::kit
