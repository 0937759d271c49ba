// What the homeserver under measurement uses of its machine, as the kernel counts it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "homeserver/base/values/result.h"

namespace polder::load {

struct Server {
  std::vector<int> processes;            // with all that descends from them
  std::vector<std::string> directories;  // that hold its data
};

struct Use {
  double cpu_seconds = 0;     // since the processes began, of those that ended meanwhile, too
  uint64_t memory_bytes = 0;  // shared memory counted once (PSS)
  uint64_t disk_bytes = 0;    // allocated
};
Result<Use> use_of(const Server& server);

// Of this process.
double own_cpu_seconds();

}  // namespace polder::load
