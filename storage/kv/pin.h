// Holds on to the files of a RocksDB database while another process goes on writing to it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "storage/files/files.h"

namespace polder::kv {

struct PinnedFile {
  std::string name;
  uint64_t size = 0;      // what belongs to the copy: the file may grow on
  bool complete = false;  // it never changes any more
};

struct PinnedDatabase {
  std::string
      identity;  // of the database: files of equal identity and name, if complete, are equal
  std::vector<PinnedFile> files;
};

// Puts hard links to the database's tables and logs into a folder, which is emptied before, and
// copies of what says which they are. Together, up to their sizes, they are the database as a crash
// at some moment during the call would have left it: everything that was acknowledged before the
// call is in it. Nobody has to stop, or to help. Fails with kNotFound where no database is,
// kUnavailable if its files never stood still.
Result<PinnedDatabase> pin_rocks(files::FileSystem& files, const std::string& database,
                                 const std::string& folder);

// Removes a folder and the files in it, if it is there.
Status remove_folder(files::FileSystem& files, const std::string& folder);

}  // namespace polder::kv
