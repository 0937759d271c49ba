// A disk in memory that loses its power, for tests: then it forgets every byte, name and removal
// that was not synced, as a real one may and SIGKILL never shows. It can also fail and be full.
#pragma once

#include <cstdint>
#include <memory>

#include "homeserver/base/values/environment.h"
#include "storage/files/files.h"

namespace polder::files {

class ForgettingFiles;

// Thread-safe. Outlives its file system's users; the clock, which gives files their times, outlives
// the disk.
class ForgettingDisk {
 public:
  explicit ForgettingDisk(const base::Clock& clock);
  ~ForgettingDisk();

  // What is on the disk: at first nothing but the folder "/".
  FileSystem& files();

  // Calls so far that change something, or make it durable: each creation of a file or folder,
  // append, write, truncation, sync, rename, link and removal is one.
  uint64_t changes() const;
  // The power goes at the n-th change from now on (1 is the next): it and all changes after it fail
  // with kIo and do nothing. Reading goes on, in a program that ought to be dead.
  void cut_power_at(uint64_t change);
  void cut_power();
  bool powered() const;
  // The power is back. Of what was appended to a file after its last sync, kept_percent are there
  // after all: a torn write. Nobody holds a lock; files that were open stay dead. May follow on no
  // power cut: then it is one.
  void power_on(unsigned kept_percent = 0);

  // From the n-th change on, this many fail with kIo and do nothing; the power stays.
  void fail_at(uint64_t change, uint64_t count);
  // How many bytes all files together may have: what would be more fails with kIo.
  void set_capacity(uint64_t bytes);

 private:
  std::unique_ptr<ForgettingFiles> disk_;
};

}  // namespace polder::files
