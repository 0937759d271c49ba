// A whole homeserver inside the benchmark's process, on real threads, without a network: what it
// costs is what the program costs. Its randomness is a function of a seed.
#pragma once

#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "bench/support/bench.h"
#include "homeserver/base/json/value.h"
#include "homeserver/base/runtime/threads.h"
#include "homeserver/base/values/mutex.h"
#include "homeserver/server/homeserver.h"
#include "homeserver/server/offline.h"
#include "storage/kv/memory.h"

namespace polder::bench {

// A folder that is removed at the end, below $TMPDIR (or /tmp, which may be in memory: ./dev bench
// sets it).
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// The same bytes in every run. Thread-safe.
class SeededRandom final : public Random {
 public:
  void fill(std::span<uint8_t> out) override;

 private:
  base::Mutex mutex_;
  uint64_t state_ GUARDED_BY(mutex_) = 1;
};

class LocalServer {
 public:
  // on_visible: told on the committer's thread of every commit.
  explicit LocalServer(std::function<void(kv::Position)> on_visible = {});
  ~LocalServer();
  LocalServer(const LocalServer&) = delete;
  LocalServer& operator=(const LocalServer&) = delete;

  server::Homeserver& homeserver() { return *homeserver_; }
  kv::Database& database() { return *database_; }
  runtime::Runtime& runtime() { return *threads_; }

  // Starts a task on a shard. Called from a thread that is none, which may wait for the outcome.
  template <class T>
  std::future<T> start(Task<T> task, size_t shard = 0) {
    auto promise = std::make_shared<std::promise<T>>();
    auto future = promise->get_future();
    runtime::spawn(*threads_, threads_->shard(shard), "bench", keep(std::move(task), promise));
    return future;
  }
  template <class T>
  T run(Task<T> task, size_t shard = 0) {
    return start(std::move(task), shard).get();
  }

  // A request as if it had come over HTTP; gives the body of a 200 answer, ends the program on any
  // other. On a shard.
  Task<json::Object> request(std::string method, std::string target, std::string token,
                             std::string body);

 private:
  template <class T>
  static Task<void> keep(Task<T> task, std::shared_ptr<std::promise<T>> promise) {
    promise->set_value(co_await std::move(task));
  }

  TemporaryDirectory directory_;
  const base::SystemClock clock_;
  SeededRandom random_;
  base::NullLog log_;
  std::unique_ptr<files::FileSystem> files_;
  std::unique_ptr<kv::Database> database_;
  server::OfflineTransport transport_;
  server::OfflineResolver resolver_;
  std::unique_ptr<runtime::Threads> threads_;
  std::unique_ptr<server::Homeserver> homeserver_;
  std::thread running_;
};

}  // namespace polder::bench
