// Reading the configuration again while the server runs.
#pragma once

#include <functional>
#include <string>

#include "homeserver/base/values/environment.h"
#include "homeserver/server/config.h"
#include "storage/files/files.h"

namespace polder::server {

inline constexpr uint64_t kConfigBytesMax = 1 << 20;

// Used by one thread at a time.
class ConfigFile {
 public:
  // What it was at the start. The files and the log outlive it.
  ConfigFile(files::FileSystem& files, std::string path, Config config, Log& log)
      : files_(files),
        path_(std::move(path)),
        config_(std::move(config)),
        newest_(config_),
        log_(log) {}

  // Reads the file again; has taken what may change while the server runs, and logs by name what
  // changed, and what only a restart will change. A file that cannot be read, or is not good, or
  // not taken, changes nothing, and is the error.
  Status reload(const std::function<Status(const Config&)>& take);

  // As it was read last; what only a restart changes included.
  const Config& newest() const { return newest_; }

 private:
  files::FileSystem& files_;
  const std::string path_;
  Config config_;  // as it is in effect, by the keys that are given
  Config newest_;
  Log& log_;
};

}  // namespace polder::server
