// A log in memory and those who follow it, on a simulated machine that can crash: for tests.
#pragma once

#include <gtest/gtest.h>

#include <boost/asio/post.hpp>
#include <map>

#include "homeserver/base/runtime/simulated.h"
#include "homeserver/base/runtime/testing/outcome.h"
#include "storage/feed/follower.h"
#include "storage/keys/key.h"
#include "storage/keys/value.h"
#include "storage/kv/memory.h"
#include "storage/stores/base/columns.h"
#include "storage/stores/base/cursor_rows.h"

namespace polder::feed {

using Positions = std::vector<kv::Position>;

// Adds to a stream, at a position of its own.
inline void add_entry(kv::Batch& batch, Stream stream, std::string_view value = "") {
  keys::put(batch, stores::kStreams,
            keys::KeyWriter(static_cast<uint8_t>(stream)).position(batch.reserve_position()),
            keys::ValueWriter(1).tail(value));
}

// Notes what it is handed, and fails or takes its time as it is told.
class Recorder final : public Consumer {
 public:
  explicit Recorder(runtime::Runtime& runtime) : runtime_(runtime) {}

  Positions seen;
  std::vector<size_t> pages;  // how many entries each had
  int reads_to_fail = 0;
  int works_to_fail = 0;
  int checkpoints_to_fail = 0;
  Millis takes{0};
  size_t at_once = 0, most_at_once = 0;
  Positions checkpoints;
  std::vector<bool> saves;  // whether all was asked for
  // What goes with the cursor: how much was handled up to it.
  std::string row;
  uint64_t handled = 0;
  std::string erased;  // a row that the next save erases, and none after it

  Result<Work> read(const kv::Snapshot&, const Page& page) override {
    if (reads_to_fail > 0) {
      --reads_to_fail;
      return fail(ErrorCode::kIo, "told to fail");
    }
    Positions positions;
    for (const Entry& entry : page.entries)
      positions.push_back(entry.position);
    return Work([this, positions] { return take(positions); });
  }
  void save(kv::Batch& batch, bool all) override {
    saves.push_back(all);
    if (!row.empty()) batch.put(stores::kMeta, row, keys::ValueWriter(1).varint(handled).str());
    if (!erased.empty()) batch.erase(stores::kMeta, std::exchange(erased, {}));
  }
  Task<Status> take_checkpoint(kv::Position position) override {
    co_await runtime::sleep_for(runtime_, Millis(10));
    if (checkpoints_to_fail > 0) {
      --checkpoints_to_fail;
      co_return fail(ErrorCode::kIo, "told to fail");
    }
    checkpoints.push_back(position);
    co_return Status();
  }

 private:
  Task<Status> take(Positions positions) {
    most_at_once = std::max(most_at_once, ++at_once);
    if (takes > Millis(0)) co_await runtime::sleep_for(runtime_, takes);
    --at_once;
    if (works_to_fail > 0) {
      --works_to_fail;
      co_return fail(ErrorCode::kUnavailable, "told to fail");
    }
    seen.insert(seen.end(), positions.begin(), positions.end());
    pages.push_back(positions.size());
    handled += positions.size();
    co_return Status();
  }

  runtime::Runtime& runtime_;
};

class LogTest : public testing::Test {
 protected:
  LogTest() { boot(); }
  ~LogTest() override { halt(); }

  void boot() {
    simulation_ = runtime::Simulation::create(seed_ + ++boots_);
    runtime_ = simulation_->add_runtime("a");
    database_ = kv::open_memory(stores::kColumns, disk_);
    committer_ = kv::Committer::create(*runtime_, *database_);
    followers_ = std::make_unique<Followers>(*runtime_, *database_, *committer_);
  }
  void halt() {
    simulation_->crash(*runtime_);
    all_.clear();
    followers_.reset();
    committer_.reset();
    database_.reset();
    runtime_.reset();
    simulation_.reset();
  }
  void crash(size_t unsynced_kept = 0) {
    halt();
    disk_.power_loss(unsynced_kept);
    boot();
  }

  struct Following {
    std::unique_ptr<Recorder> recorder;
    std::unique_ptr<Follower> follower;
    Recorder* operator->() const { return recorder.get(); }
  };
  // The first position that there is has its cursor in a row; start() begins with what was made.
  Following& make(Options options) {
    auto one = std::make_unique<Following>();
    one->recorder = std::make_unique<Recorder>(*runtime_);
    one->follower = std::make_unique<Follower>(*followers_, std::move(options), *one->recorder);
    all_.push_back(std::move(one));
    return *all_.back();
  }
  void start() {
    for (const auto& one : all_) {
      ASSERT_TRUE(one->follower->load().ok());
      one->follower->start();
    }
  }

  void run(int64_t ms) { simulation_->run_for(Millis(ms)); }
  template <class T>
  T wait(Task<T> task) {
    return runtime::outcome(*simulation_, *runtime_, std::move(task), Millis(600'000));
  }

  // One batch with so many entries of the stream; returns at once.
  void enqueue(Stream stream, size_t count = 1) {
    kv::Batch batch;
    for (size_t i = 0; i < count; ++i)
      add_entry(batch, stream);
    boost::asio::post(runtime_->shard(0),
                      [this, shared = std::make_shared<kv::Batch>(std::move(batch)), stream] {
                        committer_->enqueue(std::move(*shared), kv::Durability::kDurable,
                                            [this, stream](const Result<kv::Committed>& done) {
                                              if (done.ok()) ++acknowledged_[stream];
                                            });
                      });
  }
  void commit(Stream stream, size_t count = 1) {
    kv::Batch batch;
    for (size_t i = 0; i < count; ++i)
      add_entry(batch, stream);
    ASSERT_TRUE(wait(committer_->commit(std::move(batch))).ok());
  }
  // What is on disk.
  Positions positions(const Streams& streams) {
    const Page page =
        *read_page(*database_->snapshot(), streams, 0, committer_->visible(), 1'000'000);
    Positions found;
    for (const Entry& entry : page.entries)
      found.push_back(entry.position);
    return found;
  }
  std::optional<kv::Position> saved(std::string_view follower) {
    return *stores::read_cursor(*database_->snapshot(), follower);
  }

  uint64_t seed_ = 0;
  uint64_t boots_ = 0;
  kv::MemoryDisk disk_;
  std::map<Stream, size_t> acknowledged_;  // batches
  std::unique_ptr<runtime::Simulation> simulation_;
  std::unique_ptr<runtime::Runtime> runtime_;
  std::unique_ptr<kv::Database> database_;
  std::unique_ptr<kv::Committer> committer_;
  std::unique_ptr<Followers> followers_;
  std::vector<std::unique_ptr<Following>> all_;
};

}  // namespace polder::feed
