#include "tests/crash/power_machine.h"

#include <cstdlib>
#include <filesystem>

#include "homeserver/server/consistency.h"
#include "homeserver/server/schema.h"
#include "storage/kv/rocks.h"
#include "storage/stores/base/columns.h"

namespace polder::crash {
namespace {

constexpr const char* kOwnName = "own.example";
constexpr const char* kOtherName = "other.example";
constexpr const char* kDataDir = "/data";
constexpr Millis kEndsWithin{30 * 60'000};

std::string make_directory() {
  std::string pattern = std::filesystem::temp_directory_path() / "polder-power-XXXXXX";
  return mkdtemp(pattern.data());
}

Task<void> count(Task<void> task, std::shared_ptr<size_t> under_way) {
  co_await std::move(task);
  --*under_way;
}

}  // namespace

Machine::Machine(uint64_t seed)
    : other_directory_(make_directory()),
      simulation_(runtime::Simulation::create(seed)),
      network_(std::make_unique<simulation::Network>(*simulation_)),
      disk_(simulation_->clock()) {
  other_.database = kv::open_memory(stores::kColumns, other_disk_);
  if (!start(other_, kOtherName, *other_files_, other_directory_).ok()) std::abort();
}

Machine::~Machine() {
  if (own_.database) lose_power(0);
  end(other_, kOtherName);
  std::filesystem::remove_all(other_directory_);
}

Status Machine::open_database() {
  const std::string directory = std::string(kDataDir) + "/database";
  POLDER_CHECK(disk_.files().create_directories(directory));
  kv::RocksOptions options{.files = disk_.files(), .log = log_, .directory = directory};
  options.cache_bytes = size_t{8} << 20;
  POLDER_TRY(own_.database, kv::open_rocks(options, stores::kColumns));
  return server::open_schema(*own_.database, ServerName::trusted(kOwnName), log_);
}

Status Machine::start_homeserver() {
  return start(own_, kOwnName, disk_.files(), kDataDir);
}

Status Machine::start(Life& life, const std::string& name, files::FileSystem& files,
                      const std::string& data_dir) {
  server::Config config;
  config.server_name = ServerName::trusted(name);
  config.data_dir = data_dir;
  config.registration.enabled = true;
  config.limits.rate_limits = false;
  config.federation.retry_initial_ms = 1000;
  config.federation.retry_max_ms = 10'000;
  config.storage.reclaim_hours = kReclaimHours;
  life.runtime = simulation_->add_runtime(name);
  POLDER_TRY(life.homeserver,
             server::Homeserver::create(std::move(config),
                                        {*life.runtime, files, *life.database,
                                         network_->transport(name), network_->resolver()}));
  POLDER_CHECK(life.homeserver->start());
  network_->attach(name, *life.runtime, life.homeserver->router());
  return {};
}

// Tasks die first, then the services that they refer to, then the runtime.
void Machine::end(Life& life, const std::string& name) {
  network_->detach(name);
  if (life.runtime) simulation_->crash(*life.runtime);
  life.homeserver.reset();
  if (life.database) static_cast<void>(life.database->close());
  life.database.reset();
  life.runtime.reset();
}

void Machine::lose_power(unsigned kept_percent) {
  disk_.cut_power();
  end(own_, kOwnName);
  disk_.power_on(kept_percent);
}

void Machine::begin(const server::Homeserver& of, Task<void> task) {
  runtime::Runtime& runtime = &of == own_.homeserver.get() ? *own_.runtime : *other_.runtime;
  ++*under_way_;
  runtime::spawn(runtime, runtime.shard(0), "client", count(std::move(task), under_way_));
}

bool Machine::finish() {
  return simulation_->run_until([this] { return *under_way_ == 0; }, kEndsWithin);
}

Result<stores::CheckReport> Machine::check() {
  POLDER_TRY(auto report, server::check_consistency(*own_.database));
  POLDER_CHECK(
      server::check_media(*own_.database, disk_.files(), std::string(kDataDir) + "/media", report));
  return report;
}

}  // namespace polder::crash
