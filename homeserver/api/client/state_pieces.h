// Answers that hold a room's state, or its members: of a large room tens of thousands of events, of
// which only a piece is in memory at once.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "homeserver/api/client/api.h"
#include "homeserver/rooms/read/reader.h"

namespace polder::client_api {

struct StatePieces {
  std::string begin, end;  // what stands around the list
  // Appends what the answer says of an event; nothing, if it leaves it out.
  std::function<Status(const rooms::RoomReader&, const rooms::ReaderOf&, stores::EventNumber,
                       std::string& out)>
      append;
};
// The events of a state, or those of one type. Synchronous, on the pool; what does not fit into the
// first piece is read as the client takes it.
Result<http::Response> state_in_pieces(const Api& api, const rooms::RoomReader& reader,
                                       const rooms::ReaderOf& of, stores::StateRoot root,
                                       std::optional<std::string_view> type, StatePieces pieces);

}  // namespace polder::client_api
