// The events of a transaction.
#pragma once

#include <string>
#include <vector>

#include "federation/server/api.h"

namespace polder::federation_server {

// Each event is checked and stored by itself: one that fails says so in the answer, and holds up
// none of the others. One that cannot be judged yet is kept, and counts as taken. Those of one room
// are taken in their order, rooms side by side. Gives the answer to the transaction, {"pdus":
// {event id: {} or {"error": ...}}}; an error if events could not be stored, and the transaction
// must come again. Called on a shard.
Task<Result<std::string>> receive_pdus(Api& api, ServerName origin, std::vector<std::string> pdus);

}  // namespace polder::federation_server
