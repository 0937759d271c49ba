// Tokens are opaque to clients and versioned: "s1_<position>" for a place in the stream of
// everything, "t1_<depth>_<position>" for a place in a room's history.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "homeserver/rooms/reader.h"

namespace polder::sync {

std::string stream_token(kv::Position position);
std::optional<kv::Position> parse_stream_token(
    std::string_view token);  // nothing if it is none of ours

std::string history_token(stores::DepthPlace place);
// Beyond every event.
stores::DepthPlace end_of_room();
// The place that a token of either kind means in a room: of a stream token, after the last event
// that it covers. kInvalid for what is no token.
Result<stores::DepthPlace> history_place(const rooms::RoomReader& reader, std::string_view token);
// The room's state at the place that a stream token means.
Result<stores::StateRoot> state_at(const rooms::RoomReader& reader, std::string_view token);
Result<stores::StateRoot> state_at(const rooms::RoomReader& reader, kv::Position position);

}  // namespace polder::sync
