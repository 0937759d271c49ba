// A library over a simulated runtime, a database in memory and a disk that forgets: for tests of
// this module and of those above it.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "homeserver/base/runtime/simulated.h"
#include "homeserver/base/runtime/testing/outcome.h"
#include "media/files/library.h"
#include "storage/files/forgetting.h"
#include "storage/kv/memory.h"
#include "storage/stores/base/columns.h"

namespace polder::media {

// A body in pieces, which may end in a failure.
class PiecesBody final : public http::BodySource {
 public:
  explicit PiecesBody(std::vector<std::string> pieces, Status end = {})
      : pieces_(std::move(pieces)), end_(std::move(end)) {}
  Task<Result<std::optional<std::string>>> next() override {
    if (place_ < pieces_.size()) co_return std::optional(pieces_[place_++]);
    if (!end_.ok()) co_return end_.error();
    co_return std::optional<std::string>();
  }
  size_t taken() const { return place_; }

 private:
  const std::vector<std::string> pieces_;
  const Status end_;
  size_t place_ = 0;
};

class TestLibrary {
 public:
  explicit TestLibrary(Limits limits = {}) : limits_(limits) { start(); }

  // The power goes; with it whatever was not synced.
  void power_loss(unsigned kept_percent = 0) {
    simulation_->crash(*runtime_);
    library_.reset();
    contents_.reset();
    committer_.reset();
    database_.reset();
    runtime_.reset();
    rows_.power_loss();
    disk_.power_on(kept_percent);
    start();
  }

  template <class T>
  T run(Task<T> task) {
    return runtime::outcome(*simulation_, *runtime_, std::move(task), Millis(600'000));
  }
  // Without waiting for its end.
  template <class T>
  void spawn(Task<T> task, std::optional<T>& result) {
    runtime::spawn(*runtime_, runtime_->shard(0), "test", runtime::keep(std::move(task), result));
  }

  Result<MxcUri> upload(stores::UserNumber user, std::string text) {
    PiecesBody body({std::move(text)});
    return run(library_->upload(user, *describe("text/plain", "a.txt"), body));
  }
  Result<std::string> content(const MxcUri& uri) {
    auto row = run(library_->find(uri, Millis(0)));
    if (!row.ok()) return row.error();
    const uint64_t size = row->size;
    auto body = run(library_->read(*std::move(row), 0, size));
    if (!body.ok()) return body.error();
    return run(http::read_all(**body, size));
  }
  void sweep() { ASSERT_TRUE(run(sweep_all()).ok()); }
  // Files below the directory, temporary ones too.
  size_t files() {
    size_t count = 0;
    const auto folders = disk_.files().list("/data/media");
    if (!folders.ok()) return 0;
    for (const auto& folder : *folders)
      count += disk_.files().list("/data/media/" + folder.name)->size();
    return count;
  }

  runtime::Simulation& simulation() { return *simulation_; }
  runtime::Runtime& runtime() { return *runtime_; }
  files::ForgettingDisk& disk() { return disk_; }
  kv::MemoryDisk& rows() { return rows_; }
  kv::Database& database() { return *database_; }
  ContentStore& contents() { return *contents_; }
  Library& library() { return *library_; }

 private:
  Task<Status> sweep_all() {
    co_await contents_->sweep();
    co_return Status();
  }
  void start() {
    runtime_ = simulation_->add_runtime("own");
    database_ = kv::open_memory(stores::kColumns, rows_);
    committer_ = kv::Committer::create(*runtime_, *database_);
    static_cast<void>(disk_.files().create_directories("/data"));
    static_cast<void>(disk_.files().sync_directory("/"));
    contents_ = std::make_unique<ContentStore>(*runtime_, disk_.files(), *database_, "/data/media");
    library_ = std::make_unique<Library>(Parts{*runtime_, *database_, *committer_, *contents_,
                                               ServerName::trusted("own.example"), limits_});
  }

  const Limits limits_;
  std::unique_ptr<runtime::Simulation> simulation_ = runtime::Simulation::create(1);
  files::ForgettingDisk disk_{simulation_->clock()};
  kv::MemoryDisk rows_;
  std::unique_ptr<runtime::Runtime> runtime_;
  std::unique_ptr<kv::Database> database_;
  std::unique_ptr<kv::Committer> committer_;
  std::unique_ptr<ContentStore> contents_;
  std::unique_ptr<Library> library_;
};

}  // namespace polder::media
