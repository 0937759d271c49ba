// Many senders in several rooms of one homeserver, each with one message under way at a time.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "bench/load/session.h"
#include "homeserver/runtime/runtime.h"

namespace polder::load {

struct Plan {
  size_t senders = 32;
  size_t rooms = 8;  // each sender is in one
  std::chrono::seconds warm_up{2};
  std::chrono::seconds duration{10};
  size_t text_bytes = 100;  // of each message's body
  std::string prefix;       // of the users' names: new ones for each run
};

struct Outcome {
  uint64_t acknowledged = 0;  // messages answered with 200 within the duration
  uint64_t failed = 0;        // any other outcome, warm-up included
  std::vector<std::chrono::nanoseconds> latencies;  // of the acknowledged; ascending
  std::chrono::nanoseconds measured{0};
  uint64_t checked = 0;  // messages ever acknowledged, warm-up included
  uint64_t missing = 0;  // of those, not found by reading the rooms afterwards
  std::string last_failure;

  std::chrono::nanoseconds percentile(double part) const;
};

// Registers the users, opens the rooms, sends, and reads everything back. On a shard; the transport
// and the target outlive it. An error if the homeserver could not be set up or read.
Task<Result<Outcome>> run(runtime::Runtime& runtime, http::Transport& transport,
                          const Target& target, Plan plan);

}  // namespace polder::load
