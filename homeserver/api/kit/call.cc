#include "homeserver/api/kit/call.h"

#include <cstdlib>

namespace polder::kit {
const users::Session* Call::session_if_any() const {
  return exchange.caller ? exchange.caller->session() : nullptr;
}

const users::Session& Call::session() const {
  const users::Session* session = session_if_any();
  if (session == nullptr) std::abort();
  return *session;
}

const ServerName& Call::origin() const {
  const Server* server = exchange.caller ? exchange.caller->server() : nullptr;
  if (server == nullptr) std::abort();
  return server->name;
}

Result<RoomId> room_of(const Call& call) {
  return RoomId::parse(call.path("roomId"));
}

}  // namespace polder::kit
