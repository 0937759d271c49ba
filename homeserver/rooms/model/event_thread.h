// What an event relates to, and the thread that it is in.
// https://spec.matrix.org/v1.19/client-server-api/#threaded-read-receipts
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "homeserver/rooms/model/room_view.h"

namespace polder::rooms {

struct RelatesTo {
  EventId parent;
  std::string rel_type;
};
// https://spec.matrix.org/v1.19/client-server-api/#forming-relationships-between-events. Nothing
// for state events and malformed relations.
std::optional<RelatesTo> relation_of(const events::Event& event);

inline constexpr std::string_view kMainThread = "main";

// The id of the root of the thread that an event is in, or kMainThread
// (https://spec.matrix.org/v1.19/client-server-api/#threaded-read-receipts).
Result<std::string> thread_of(const events::Event& event, const RoomView& view);
// Whether a receipt at the event may name the thread: the one that it is in; for a root, and for
// what relates to it, also the one that begins there.
Result<bool> may_be_read_in(const events::Event& event, std::string_view thread, RoomNumber room,
                            const RoomView& view);

}  // namespace polder::rooms
