// `polder backup` and `polder restore`.
#pragma once

#include "homeserver/server/config.h"

namespace polder::server {

// Prints what was copied, or why not; each gives the process's exit code. The server may be
// running. `config_text` is the file that `config` was read from.
int back_up(const Config& config, const std::string& config_text, const std::string& to,
            size_t keep);

struct RestoreArguments {
  std::string from;
  std::string to;       // the data directory; empty: only reads the backup
  uint64_t number = 0;  // 0: the newest
};
int restore(const RestoreArguments& arguments);

}  // namespace polder::server
