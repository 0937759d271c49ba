// RocksDB's files in storage/files.
#pragma once

#include <rocksdb/file_system.h>

#include <memory>

#include "storage/files/files.h"

namespace polder::kv {

// The files outlive what is returned, and so does it the databases that use it.
std::shared_ptr<rocksdb::FileSystem> rocks_files(files::FileSystem& files);

}  // namespace polder::kv
