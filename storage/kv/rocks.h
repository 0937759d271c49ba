// A database on disk, in RocksDB: the only code that knows it.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "homeserver/base/values/environment.h"
#include "storage/files/files.h"
#include "storage/kv/kv.h"

namespace polder::kv {

struct RocksOptions {
  files::FileSystem& files;  // these two outlive the database
  Log& log;                  // gets RocksDB's warnings and errors
  std::string directory;
  size_t cache_bytes = size_t{128} << 20;
  // Of what was written and is not in tables yet; a column is written out at a quarter of it.
  size_t write_buffer_bytes = size_t{8} << 20;
  // How much of the write log is kept for read_log(), at the least; with either 0, only what a
  // start needs.
  uint64_t log_keep_bytes = uint64_t{1} << 30;
  uint64_t log_keep_seconds = 72 * 3600;
  bool create_if_missing = true;
  // Descriptors that it may hold for tables; beyond them, tables are opened anew when they are
  // read.
  int open_files_max = 512;
};

// Opens or creates. Columns that are new are created; columns on disk that the program does not
// know are kCorrupt (a newer program wrote them), as is damage in the middle of the write log. A
// torn end of the log, as a power cut leaves it, is cut off: nothing there was ever acknowledged.
Result<std::unique_ptr<Database>> open_rocks(const RocksOptions& options,
                                             std::span<const ColumnSpec> columns);

// Reads all of a database, writing nothing: whether it can be opened, and every block is what was
// written. A database that is being written to is read as it was at some moment; but its files may
// go, so pin them (pin.h).
Status verify_rocks(const RocksOptions& options, std::span<const ColumnSpec> columns);

}  // namespace polder::kv
