// Upkeep: work that is done again and again while the server runs, and goes on when it fails.
#pragma once

#include <functional>
#include <string>

#include "homeserver/base/runtime/runtime.h"

namespace polder::runtime {

// Runs a pass at once, and again after each pause, until the job of that name is asked to stop
// (jobs.h). A pass that fails is counted and logged, and tried again soon: after a second, and then
// twice as long each time, up to the pause or five minutes, whichever is longer. So a job with a
// long pause does not lose its turn, and one with a short pause does not fill the log. Run as a job
// of the same name, on any shard.
Task<void> repeat(Runtime& runtime, std::string job, Millis pause,
                  std::function<Task<Status>()> pass);

}  // namespace polder::runtime
