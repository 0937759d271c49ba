// A store in memory, the runtime that it is on, and the loss of power: for tests.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <utility>

#include "homeserver/base/runtime/simulated.h"
#include "homeserver/base/runtime/testing/outcome.h"
#include "storage/kv/committer.h"
#include "storage/kv/memory.h"
#include "storage/stores/base/columns.h"
#include "storage/stores/base/names.h"

namespace polder::stores {

// What derives from it makes its own after boot(), and destroys it between end_tasks() and halt().
class StoreTest : public testing::Test {
 protected:
  void boot() {
    simulation_ = runtime::Simulation::create(++boots_);
    runtime_ = simulation_->add_runtime("a");
    database_ = kv::open_memory(kColumns, disk_);
    committer_ = kv::Committer::create(*runtime_, *database_);
    names_ = *Names::open(*database_);
    running_ = true;
  }
  void end_tasks() {
    if (std::exchange(running_, false)) simulation_->crash(*runtime_);
  }
  void halt() {
    end_tasks();
    names_.reset();
    committer_.reset();
    database_.reset();
    runtime_.reset();
    simulation_.reset();
  }
  template <class T>
  T run(Task<T> task) {
    return runtime::outcome(*simulation_, *runtime_, std::move(task));
  }

  uint64_t boots_ = 0;
  bool running_ = false;
  kv::MemoryDisk disk_;
  std::unique_ptr<runtime::Simulation> simulation_;
  std::unique_ptr<runtime::Runtime> runtime_;
  std::unique_ptr<kv::Database> database_;
  std::unique_ptr<kv::Committer> committer_;
  std::unique_ptr<Names> names_;
};

}  // namespace polder::stores
