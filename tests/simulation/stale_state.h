// What hostile servers answer when they are asked for the state of a room, or for what somebody
// misses of it: often something that was so once. And who was misled by it, of whom others may have
// asked in good faith.
#pragma once

#include "tests/simulation/history.h"

namespace polder::simulation {

// From now on, if the server is hostile; of an honest one is noted whom it misleads. The history
// outlives what the network does.
void log_stale_state(History& history, size_t server);

}  // namespace polder::simulation
