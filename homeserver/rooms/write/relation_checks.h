// What a local user may not relate to what. Pure but for the view.
#pragma once

#include "homeserver/rooms/model/room_view.h"

namespace polder::rooms {

// Events of other servers are taken whatever they relate to: what breaks a rule is left out of
// aggregations. Local users are told: kInvalid, with M_DUPLICATE_ANNOTATION for the same annotation
// once more (https://spec.matrix.org/v1.19/client-server-api/#server-behaviour-30), M_UNKNOWN for a
// thread off an event that is related itself (#validation-of-mthread-relationships), and for a
// parent that is not in the room (#forming-relationships-between-events).
Status check_relation(const RoomView& view, const RoomContent& room, const events::Event& event);

}  // namespace polder::rooms
