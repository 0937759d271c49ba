// The running program: real threads, real disk, real network.
#pragma once

#include "homeserver/server/config.h"

namespace polder::server {

// Serves until SIGTERM or SIGINT; then finishes what is under way, for two seconds at most. Gives
// the process's exit code.
int serve(const Config& config);

// Checks the consistency of a database that no server has open: names, events, timelines, state
// maps, extremities. Prints what is wrong; gives the process's exit code.
int check_database(const Config& config);

}  // namespace polder::server
