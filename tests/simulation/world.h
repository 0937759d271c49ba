// Several whole homeservers on one simulated machine: time, randomness, network and disks are
// functions of the seed. A server can crash, lose power, and be started again from its disk.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "homeserver/base/runtime/simulated.h"
#include "homeserver/rooms/engine/engine.h"
#include "homeserver/server/homeserver.h"
#include "homeserver/server/testing/client.h"
#include "storage/files/files.h"
#include "storage/kv/memory.h"
#include "tests/simulation/network.h"

namespace polder::simulation {

using server::Answer;
using server::ClientCall;

// Told once. An answer of status 0: the server was not there, or ended first.
using OnAnswer = std::function<void(const Answer&)>;

class World {
 public:
  World(uint64_t seed, size_t servers);
  ~World();

  size_t size() const { return servers_.size(); }
  runtime::Simulation& simulation() { return *simulation_; }
  Random& random() { return simulation_->random(); }
  Network& network() { return *network_; }

  const std::string& name(size_t index) const { return servers_[index]->name; }
  bool is_up(size_t index) const { return servers_[index]->homeserver != nullptr; }
  server::Homeserver& homeserver(size_t index) { return *servers_[index]->homeserver; }
  kv::Database& database(size_t index) { return *servers_[index]->database; }
  kv::MemoryDisk& disk(size_t index) { return servers_[index]->disk; }

  // Neither is called from within a step of the simulation. A crash loses what was not synced, but
  // for some of it, as the seed decides.
  void start(size_t index);
  void crash(size_t index);

  // A client's request; never within a step of another server.
  void call(size_t index, ClientCall call, OnAnswer on_answer);

  // A transaction that the server sends besides what it does by itself.
  void send_pdus(size_t from, size_t to, std::vector<std::string> pdus);

  void run_for(Millis duration) { simulation_->run_for(duration); }
  bool run_until(const std::function<bool()>& done, Millis limit) {
    return simulation_->run_until(done, limit);
  }

 private:
  struct Server {
    std::string name;
    kv::MemoryDisk disk;
    std::unique_ptr<runtime::Runtime> runtime;
    std::unique_ptr<kv::Database> database;
    std::unique_ptr<server::Homeserver> homeserver;
    std::map<uint64_t, OnAnswer> calls;  // that were not answered yet
  };
  Task<void> send(http::ClientRequest request, std::string from);
  Task<void> perform(Server& server, ClientCall call, uint64_t number);
  void stop(Server& server);

  const std::string directory_;
  const rooms::StepSizes steps_;
  std::unique_ptr<files::FileSystem> files_ = files::real_files();
  std::unique_ptr<runtime::Simulation> simulation_;
  std::unique_ptr<Network> network_;
  std::vector<std::unique_ptr<Server>> servers_;
  uint64_t calls_ = 0;
  uint64_t transactions_ = 0;
};

}  // namespace polder::simulation
