// Copies of a whole data directory, taken while a server writes to it, and put back.
//
// A backup directory holds every content once, and for each backup a list:
//
//   objects/ab/cdef...   a content, named by its SHA-256
//   backup-000001        what files there were and which contents they had (docs/formats/backup.md)
//   lock                 held while something is written here
//
// Contents are synced before a list names them, and removed once no list names them any more: what
// crashes leaves the backups before it as they were.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "homeserver/base/values/environment.h"
#include "storage/files/files.h"
#include "storage/kv/kv.h"

namespace polder::backup {

struct Locations {
  files::FileSystem& files;
  Log& log;                                 // gets the database's warnings and errors
  std::span<const kv::ColumnSpec> columns;  // of the database
  std::string data_dir;
  std::string backup_dir;
};

struct Source {
  std::string server_name;
  std::string config;  // the text of the configuration file
  int64_t now_ms = 0;
  size_t keep = 1;  // how many backups stay, with this one
};

struct Report {
  uint64_t number = 0;  // of the backup
  std::string server_name;
  int64_t made_ms = 0;
  size_t files = 0;
  uint64_t bytes = 0;
  uint64_t bytes_copied = 0;  // the rest was there already
  // Files that are not what they once were, and are therefore not in the backup.
  std::vector<std::string> damaged;
};

// Whatever was acknowledged before the call is in the backup. What the database holds is read
// and verified whole, and nothing is written if a part of it is damaged. A server may run meanwhile
// and is not held up.
Result<Report> back_up(const Locations& locations, const Source& source);

// Reads all of a backup (0: the newest) and compares it with its checksums.
Result<Report> verify(const Locations& locations, uint64_t number);

// Puts a backup into a data directory that is empty or not there. Until the end a file there keeps
// a server from starting; so it is after a failure, too: then the directory must be emptied by
// hand. Positions go on far beyond those of the backup, because clients may know later ones.
Result<Report> restore(const Locations& locations, uint64_t number);

// The error of a data directory whose restore has not come to its end.
Status check_restored(files::FileSystem& files, const std::string& data_dir);

}  // namespace polder::backup
