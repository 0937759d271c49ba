// How far the followers of the log have got (storage/feed), by name.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "storage/kv/kv.h"

namespace polder::stores {

inline constexpr std::string_view kFederationFollower = "federation";
inline constexpr std::string_view kDeviceListFollower = "device_lists";

// Everything up to this position is handled: a follower goes on behind it. None: it never began.
void put_cursor(kv::Batch& batch, std::string_view follower, kv::Position position);
Result<std::optional<kv::Position>> read_cursor(const kv::Snapshot& snapshot,
                                                std::string_view follower);
Result<std::map<std::string, kv::Position>> read_cursors(const kv::Snapshot& snapshot);

}  // namespace polder::stores
