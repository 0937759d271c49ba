// Rooms in /sync that the user is not in: invites, knocks, and what is left of rooms that this
// server was never in.
// https://spec.matrix.org/v1.19/client-server-api/#stripped-state
#pragma once

#include <string>
#include <string_view>

#include "homeserver/rooms/read/reader.h"

namespace polder::sync {

// {name: {"events": [...]}} of a room that this server is in; name is "invite_state" or
// "knock_state".
Result<std::string> stripped_room(const rooms::RoomReader& reader, const UserId& user,
                                  std::string_view name);
// The same of one that it is not in.
std::string outside_room(const stores::MembershipRow& row, std::string_view name);
// Who sent the membership in a room that this server is not in; empty if its state does not say.
std::string outside_sender(const stores::MembershipRow& row, const UserId& user);
// A room of which the user is told only that they are out of it; the events are a JSON array.
std::string ended_room(std::string_view events, std::string_view prev_batch);
// That of one that this server is not in.
std::string outside_ended_room(const stores::MembershipRow& row, std::string_view prev_batch);

}  // namespace polder::sync
