// Tokens are opaque to clients and versioned: "s1_<position>" for a place in the stream of
// everything (of /sync: "s1_<position>_<typing changes>_<to-device position>", and where state is
// owed, "_<position from which>"),
// "t1_<depth>_<position>" for a place in a room's
// history, with a third number where that is not all that matters.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "homeserver/rooms/read/reader.h"

namespace polder::sync {

// A place in every stream that /sync tells of.
struct StreamToken {
  kv::Position position = 0;    // events, receipts, account data, device lists
  uint64_t typing_changes = 0;  // counted from the start of the program
  // Messages to the device up to here were given; behind `position` when not all fitted.
  kv::Position to_device = 0;
  // From here on, timelines had state events that did not hold at `position`: a client takes them
  // for what holds until it is told better. None: zero.
  kv::Position owed_from = 0;
  friend bool operator==(const StreamToken&, const StreamToken&) = default;
};
std::string stream_token(const StreamToken& token);
std::string stream_token(kv::Position position);
std::optional<StreamToken> parse_stream_token(std::string_view token);  // nothing if none of ours
// What a client that goes on from a token of /sync knows. Nothing for tokens of another version,
// and of places to which this database never got: it begins anew. kInvalid for what is no token.
Result<std::optional<StreamToken>> parse_since(std::string_view token, kv::Position visible);

// A boundary between events of a room's history, from which it is paged by depth, either way. Depth
// and position do not agree where servers sent side by side: what a client got by position is left
// out of what comes before.
struct HistoryPosition {
  stores::DepthPlace place;
  kv::Position told_from = kv::kLastPosition;  // of the timeline, all from here on was told
};
std::string history_token(const HistoryPosition& place);
// Beyond every event.
HistoryPosition end_of_room();
// The place from which a room is paged, by a token of either kind: of a stream token, from after
// everything that it covers; backwards also from what is missing before the next event. kInvalid
// for what is no token.
enum class Direction : uint8_t { kBackwards, kForwards };
Result<HistoryPosition> history_position(const rooms::RoomReader& reader, std::string_view token,
                                         Direction direction);
// The room's state at a position.
Result<stores::StateRoot> state_at(const rooms::RoomReader& reader, kv::Position position);
// The state that a client knows which was told of the room up to a position: that of then, or
// nothing if it was known in part then and is known in full since, so that all is told anew.
Result<stores::StateRoot> state_told(const rooms::RoomReader& reader, kv::Position position);

}  // namespace polder::sync
