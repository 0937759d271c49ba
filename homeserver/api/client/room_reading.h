// What the routes that read rooms share.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "homeserver/api/client/api.h"
#include "homeserver/rooms/read/reader.h"

namespace polder::client_api {

// Runs on the pool with a reader of the room that the path names.
using Reading = Result<http::Response> (*)(const Api&, const rooms::RoomReader&,
                                           const rooms::ReaderOf&, const Call&);
Task<Result<http::Response>> read_room(const Api& api, Call& call, Reading read);
// The same as a handler of a table.
template <Reading read>
Task<Result<http::Response>> reading(const Api& api, Call& call) {
  return read_room(api, call, read);
}

// Likewise of an event of the room: where the room is not known, the event is not.
Task<Result<http::Response>> read_event(const Api& api, Call& call, Reading read);
template <Reading read>
Task<Result<http::Response>> reading_event(const Api& api, Call& call) {
  return read_event(api, call, read);
}
// "The event was not found or you do not have permission to read this event."
Error event_not_found();

struct OpenedRoom {
  std::unique_ptr<const rooms::RoomReader> reader;
  rooms::ReaderOf of;
};
// The room that the path names, for the caller.
Result<OpenedRoom> open_room(const Api& api, const Call& call);

// An event as the caller's device gets it; or as if it had been redacted.
Result<std::string> client_event(const rooms::RoomReader& reader, const rooms::ReaderOf& of,
                                 stores::EventNumber number, const rooms::HeldEvent& held,
                                 const Call& call, bool redacted = false);

}  // namespace polder::client_api
