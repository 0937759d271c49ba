// The consistency of a database: what one row says is what the others say.
#pragma once

#include <string>
#include <vector>

#include "storage/kv/kv.h"

namespace polder::stores {

struct CheckReport {
  uint64_t rooms = 0;
  uint64_t events = 0;
  std::vector<std::string> faults;  // for people; at most kMaxFaults
};
inline constexpr size_t kMaxFaults = 100;

// Interned names are one-to-one; every event has its record and its id leads back to it; links and
// extremities name events that are there; timeline entries lead to events with that position; state
// maps can be read and name events that are there; counts of members are what the current state
// says; memberships name events that are there, or are outside rooms that are not followed. The
// error is a failure to read at all.
Result<CheckReport> check_database(const kv::Snapshot& snapshot);

}  // namespace polder::stores
