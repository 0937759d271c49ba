#include "homeserver/api/client/room_reading.h"

#include "homeserver/base/json/write.h"
#include "homeserver/rooms/model/refusals.h"
#include "storage/stores/users/user_rows.h"

namespace polder::client_api {
using http::Response;
using rooms::ReaderOf;
using rooms::RoomReader;

Result<OpenedRoom> open_room(const Api& api, const Call& call) {
  POLDER_TRY(const RoomId room, room_of(call));
  POLDER_TRY(auto head, api.rooms.head(room));
  if (!head) return rooms::not_in_room();
  OpenedRoom opened;
  opened.reader = std::make_unique<const RoomReader>(api.rooms, std::move(head));
  POLDER_TRY(opened.of, opened.reader->reader(call.session().user));
  return opened;
}

Task<Result<Response>> read_event(const Api& api, Call& call, Reading read) {
  return runtime::on_pool(api.runtime, [&api, &call, read]() -> Result<Response> {
    const auto opened = open_room(api, call);
    if (!opened.ok() && opened.error().code == ErrorCode::kForbidden) return event_not_found();
    if (!opened.ok()) return opened.error();
    return read(api, *opened->reader, opened->of, call);
  });
}

Error event_not_found() {
  return fail(ErrorCode::kNotFound, "Event not found");
}

Task<Result<Response>> read_room(const Api& api, Call& call, Reading read) {
  return runtime::on_pool(api.runtime, [&api, &call, read]() -> Result<Response> {
    POLDER_TRY(const OpenedRoom opened, open_room(api, call));
    return read(api, *opened.reader, opened.of, call);
  });
}

Result<std::string> client_event(const RoomReader& reader, const ReaderOf& of,
                                 stores::EventNumber number, const rooms::HeldEvent& held,
                                 const Call& call, bool redacted) {
  RoomReader::ClientOptions options;
  options.redacted = redacted;
  std::optional<std::string> transaction;
  if (held.event->sender() == call.session().user) {
    POLDER_TRY(transaction,
               stores::read_event_transaction(reader.snapshot(), call.session().number,
                                              call.session().device, held.event->id()));
    if (transaction) options.transaction_id = *transaction;
  }
  return reader.client_event(of, number, held, options);
}

}  // namespace polder::client_api
