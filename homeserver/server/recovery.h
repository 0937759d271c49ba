// What follows a failed write. The database is read-only from then on, because only opening it anew
// tells what is on disk; so the server starts again as soon as the disk takes writes.
#pragma once

#include <string>

#include "homeserver/base/runtime/runtime.h"
#include "storage/files/files.h"
#include "storage/kv/kv.h"

namespace polder::server {

inline constexpr Millis kDiskPause{5000};  // between two looks at a disk that failed

// Returns once a write has failed and the disk of the directory works again. The references outlive
// the task, which runs on a shard.
Task<void> wait_for_repair(runtime::Runtime& runtime, files::FileSystem& files,
                           const kv::Database& database, std::string directory);

}  // namespace polder::server
