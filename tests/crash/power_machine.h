// A homeserver whose disk forgets what was not synced, and another one, always up, that has rooms
// with it: whole, on one simulated network and clock.
#pragma once

#include <memory>
#include <string>

#include "homeserver/base/runtime/simulated.h"
#include "homeserver/server/homeserver.h"
#include "storage/files/forgetting.h"
#include "storage/kv/memory.h"
#include "storage/stores/check/check.h"
#include "tests/simulation/network.h"

namespace polder::crash {

inline constexpr int64_t kReclaimHours = 1;

class Machine {
 public:
  explicit Machine(uint64_t seed);
  ~Machine();

  runtime::Simulation& simulation() { return *simulation_; }
  Random& random() { return simulation_->random(); }
  files::ForgettingDisk& disk() { return disk_; }

  // Nothing of it is there before open_database() and start_homeserver(), nor after lose_power().
  kv::Database& database() { return *own_.database; }
  server::Homeserver& own() { return *own_.homeserver; }
  server::Homeserver& other() { return *other_.homeserver; }

  Status open_database();
  Status start_homeserver();
  // All that runs ends, and of what was written and not synced, kept_percent are there after all.
  void lose_power(unsigned kept_percent);

  // Tasks of one of the servers, side by side; and until all have ended, false if they never do.
  void begin(const server::Homeserver& of, Task<void> task);
  bool finish();

  // What `polder check` looks at, media too.
  Result<stores::CheckReport> check();

 private:
  // Of one homeserver: what goes with it when it ends.
  struct Life {
    std::unique_ptr<runtime::Runtime> runtime;
    std::unique_ptr<kv::Database> database;
    std::unique_ptr<server::Homeserver> homeserver;
  };
  Status start(Life& life, const std::string& name, files::FileSystem& files,
               const std::string& data_dir);
  void end(Life& life, const std::string& name);

  const std::string other_directory_;
  const std::unique_ptr<runtime::Simulation> simulation_;
  const std::unique_ptr<simulation::Network> network_;
  base::NullLog log_;
  files::ForgettingDisk disk_;
  const std::unique_ptr<files::FileSystem> other_files_ = files::real_files();
  kv::MemoryDisk other_disk_;
  const std::shared_ptr<size_t> under_way_ = std::make_shared<size_t>(0);
  Life own_;
  Life other_;
};

}  // namespace polder::crash
