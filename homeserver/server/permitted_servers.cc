#include "homeserver/server/permitted_servers.h"

namespace polder::server {

Task<Result<http::ClientResponse>> PermittedServers::call(ServerName server, transport::Call call) {
  const policy::Act act{.point = policy::Point::kFederateOut, .target = server.str()};
  const policy::Facts facts{.federation =
                                policy::Federation{.off = off_, .own_server = server == own_name_}};
  POLDER_CO_CHECK(ask_(act, policy::Server{own_name_}, facts));
  co_return co_await servers_->call(std::move(server), std::move(call));
}

}  // namespace polder::server
