#include "federation/server/api.h"

#include "federation/server/acls.h"
#include "federation/server/requests_at_once.h"
#include "federation/server/transactions.h"
#include "federation/server/waiting.h"
#include "homeserver/rooms/write/writer.h"

namespace polder::federation_server {
Api::Api(Parts given)
    : parts(std::move(given)),
      acls(std::make_unique<Acls>()),
      requests_at_once(std::make_unique<RequestsAtOnce>(parts.requests_at_once)),
      unproved_bodies(parts.runtime),
      transactions(std::make_unique<Transactions>(*this)),
      waiting(std::make_unique<WaitingEvents>(*this)) {}

Api::~Api() = default;

const rooms::RoomSource& Api::rooms() const {
  return parts.writer.source();
}

Status Api::start() {
  return waiting->start();
}

bool is_own_failure(const Error& error) {
  return error.code == ErrorCode::kReadOnly || error.code == ErrorCode::kRateLimited ||
         error.code == ErrorCode::kIo;
}

// https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1make_joinroomiduserid
Error incompatible_version(std::string_view room_version) {
  return http::with_details(fail(ErrorCode::kInvalid, "M_INCOMPATIBLE_ROOM_VERSION",
                                 "The room has a version that is not supported"),
                            {{"room_version", room_version}});
}

void add_operations(http::Router& router, Api& api, std::span<const Operation> table) {
  kit::add_operations(router, api.runtime(), api, table);
}

void add_routes(http::Router& router, Api& api) {
  add_key_routes(router, api);
  add_transaction_routes(router, api);
  add_membership_routes(router, api);
  add_invite_routes(router, api);
  add_history_routes(router, api);
  add_query_routes(router, api);
}

}  // namespace polder::federation_server
