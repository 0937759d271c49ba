// How the process's file descriptors are shared out, so that connections never take those that the
// database needs: a write that gets none is an error of the disk.
#pragma once

#include <cstddef>
#include <cstdint>

namespace polder::server {

struct Descriptors {
  uint64_t all = 0;        // that the process may have open
  int database_files = 0;  // of them for tables
  size_t connections = 0;  // inbound, two each: a download holds its file
};

// Pure.
Descriptors share_out(uint64_t limit, size_t connections_wanted);

// Raises the limit of the process (RLIMIT_NOFILE) to what so many connections need, or as far as
// that is allowed, and shares it out. Changes the process: called at its start.
Descriptors take_descriptors(size_t connections_wanted);

}  // namespace polder::server
