// The ephemeral data of a transaction.
// https://spec.matrix.org/v1.19/server-server-api/#edus
#pragma once

#include <vector>

#include "federation/server/api.h"
#include "federation/wire/transaction.h"

namespace polder::federation_server {

// Takes them in their order. What has not the right shape, speaks for users of other servers, or is
// of a room whose ACL denies the origin, is dropped and logged; kinds that are not known here, and
// presence, are dropped. An error if what must not be lost could not be stored: the transaction
// must come again. Called on the origin's shard, in the origin's turn.
Task<Status> receive_edus(Api& api, ServerName origin, std::vector<wire::Edu> edus);

}  // namespace polder::federation_server
