// What /sync tells of receipts and typing.
#pragma once

#include "homeserver/rooms/reader.h"
#include "homeserver/sync/classic/sync.h"
#include "homeserver/sync/classic/tokens.h"

namespace polder::sync {

// Whether a room has receipts or typing that a client with the token does not know.
bool has_ephemeral(const Services& services, stores::RoomNumber room, const StreamToken& since);

// The m.receipt and m.typing events of a room, for what lies between the tokens; without `since`,
// all of it. Others' private receipts are left out. Synchronous; on the pool.
Result<json::Array> ephemeral_events(const Services& services, const rooms::RoomReader& reader,
                                     const UserId& user, const std::optional<StreamToken>& since,
                                     const StreamToken& to);

}  // namespace polder::sync
