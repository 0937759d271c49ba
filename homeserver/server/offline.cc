#include "homeserver/server/offline.h"

namespace polder::server {
namespace {

Error no_network() {
  return fail(ErrorCode::kUnavailable, "no network");
}

}  // namespace

Task<Result<http::ClientResponse>> OfflineTransport::send(http::ClientRequest) {
  co_return no_network();
}

Task<Result<egress::Addresses>> OfflineResolver::addresses(std::string) {
  co_return no_network();
}

Task<Result<egress::Services>> OfflineResolver::services(std::string) {
  co_return no_network();
}

Task<Result<http::ClientResponse>> NoServers::call(ServerName, transport::Call) {
  co_return fail(ErrorCode::kForbidden, "M_FORBIDDEN: federation is off");
}

}  // namespace polder::server
