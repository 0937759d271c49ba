#include "homeserver/base/runtime/simulated.h"

#include <boost/asio/execution_context.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <cstdlib>
#include <iostream>
#include <map>
#include <set>

namespace polder::runtime {
namespace {

// SplitMix64: small, well spread, and the same on every platform.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(uint64_t seed) : state_(seed) {}
  void fill(std::span<uint8_t> out) override {
    for (size_t i = 0; i < out.size(); ++i) {
      if (i % 8 == 0) word_ = step();
      out[i] = static_cast<uint8_t>(word_ >> (i % 8 * 8));
    }
  }

 private:
  uint64_t step() {
    state_ += 0x9E3779B97F4A7C15u;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  uint64_t state_;
  uint64_t word_ = 0;
};

constexpr int64_t kEpochMs = 1'700'000'000'000;

class VirtualClock final : public Clock {
 public:
  int64_t wall_ms() const override { return kEpochMs + now_.count() / 1'000'000; }
  std::chrono::nanoseconds steady() const override { return now_; }
  void set(std::chrono::nanoseconds now) { now_ = now; }

 private:
  std::chrono::nanoseconds now_{0};
};

// A server counts uses of the disk where nobody may wait for it; a test ends at the first, so that
// every test of a simulated server holds decision 21.
class NoMisuses final : public base::DiskWatch {
 public:
  explicit NoMisuses(std::string_view runtime) : runtime_(runtime) {}

  void disk_misused(base::ThreadRole role, std::string_view what) override {
    std::cerr << runtime_ << ": the disk was used (" << what << ") "
              << (role == base::ThreadRole::kAnswers ? "on a shard" : "under a lock")
              << " (docs/architecture.md, decision 21)" << std::endl;
    std::abort();
  }

 private:
  const std::string runtime_;
};

class SimulationImpl;

// A homeserver's runtime: its own io_context, stepped by the simulation one handler at a time.
class SimulatedRuntime final : public Runtime, public Log {
 public:
  SimulatedRuntime(SimulationImpl& simulation, std::string_view name)
      : simulation_(simulation), name_(name), no_misuses_(name) {}
  ~SimulatedRuntime() override;

  size_t shard_count() const override { return 1; }
  Executor shard(size_t) override { return context_->get_executor(); }
  size_t current_shard() const override { return running_ ? 0 : kNoShard; }
  void post_to_pool(Lane lane, std::function<void()> work) override;
  size_t backlog(Lane) const override { return 0; }
  std::unique_ptr<Timer> after(Millis delay, std::function<void()> callback) override;
  const Clock& clock() const override;
  Random& random() override;
  Log& log() override { return *this; }
  const DiskMisuses& disk_misuses() const override { return misuses_; }

  bool enabled(LogLevel level) const override { return level >= LogLevel::kInfo; }
  void write(LogLevel level, std::string_view event,
             std::span<const base::LogField> fields) override;

  // One handler, if any is ready.
  bool step() {
    const base::WatchedThread watched(no_misuses_, base::ThreadRole::kAnswers);
    running_ = true;
    context_->restart();
    const bool ran = context_->poll_one() > 0;
    running_ = false;
    return ran;
  }
  void crash() {
    crashed_ = true;
    *alive_ = false;
    context_.reset();  // destroys suspended frames
  }
  bool crashed() const { return crashed_; }
  std::shared_ptr<bool> alive() const { return alive_; }
  boost::asio::io_context& context() { return *context_; }

 private:
  SimulationImpl& simulation_;
  std::string name_;
  NoMisuses no_misuses_;
  const DiskMisuses misuses_{*this};  // none is ever counted
  bool running_ = false;
  bool crashed_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::unique_ptr<boost::asio::io_context> context_ = std::make_unique<boost::asio::io_context>(1);
};

class SimulationImpl final : public Simulation {
 public:
  explicit SimulationImpl(uint64_t seed) : random_(seed) { trace("seed " + std::to_string(seed)); }

  std::unique_ptr<Runtime> add_runtime(std::string_view name) override {
    auto runtime = std::make_unique<SimulatedRuntime>(*this, name);
    runtimes_.push_back(runtime.get());
    return runtime;
  }

  void crash(Runtime& runtime) override {
    trace("crash");
    static_cast<SimulatedRuntime&>(runtime).crash();
  }

  void forget(SimulatedRuntime* runtime) { std::erase(runtimes_, runtime); }

  void run_for(Millis duration) override {
    const auto until = clock_.steady() + duration;
    while (step(until)) {
    }
    clock_.set(until);
  }

  bool run_until(const std::function<bool()>& done, Millis limit) override {
    const auto until = clock_.steady() + limit;
    while (!done()) {
      if (!step(until)) return done();
    }
    return true;
  }

  void after(Millis delay, std::function<void()> callback) override {
    schedule(delay, std::move(callback));
  }

  // Returns a handle for cancel().
  std::pair<std::chrono::nanoseconds, uint64_t> schedule(std::chrono::nanoseconds delay,
                                                         std::function<void()> callback) {
    // Among callbacks due at one moment the seed decides; the count keeps keys apart.
    const auto due = clock_.steady() + std::max(delay, std::chrono::nanoseconds(0));
    const std::pair key{due,
                        (random_.next_u64() & 0xFFFFFFFF00000000u) | (++scheduled_ & 0xFFFFFFFFu)};
    timers_.emplace(key, std::move(callback));
    return key;
  }
  void cancel(std::pair<std::chrono::nanoseconds, uint64_t> key) { timers_.erase(key); }

  Random& random() override { return random_; }
  const Clock& clock() const override { return clock_; }
  uint64_t trace_hash() const override { return trace_; }
  void watch(std::function<void(std::string_view)> watcher) override {
    watcher_ = std::move(watcher);
  }
  void trace(std::string_view what) override {
    if (watcher_) watcher_(what);
    for (const char c : what)
      trace_ = (trace_ ^ static_cast<uint8_t>(c)) * 0x100000001B3u;  // FNV-1a
    trace_ = (trace_ ^ 0xFF) * 0x100000001B3u;
  }

 private:
  // One handler of a runtime, or the next timer; false if nothing is left before `until`.
  bool step(std::chrono::nanoseconds until) {
    if (!runtimes_.empty()) {
      // A random one first: homeservers interleave in every way.
      const size_t first = random_.below(runtimes_.size());
      for (size_t i = 0; i < runtimes_.size(); ++i) {
        SimulatedRuntime* runtime = runtimes_[(first + i) % runtimes_.size()];
        if (!runtime->crashed() && runtime->step()) return true;
      }
    }
    if (timers_.empty() || timers_.begin()->first.first > until) return false;
    auto node = timers_.extract(timers_.begin());
    clock_.set(node.key().first);
    node.mapped()();
    return true;
  }

  SeededRandom random_;
  VirtualClock clock_;
  uint64_t trace_ = 0xCBF29CE484222325u;
  std::function<void(std::string_view)> watcher_;
  uint64_t scheduled_ = 0;
  std::map<std::pair<std::chrono::nanoseconds, uint64_t>, std::function<void()>> timers_;
  std::vector<SimulatedRuntime*> runtimes_;
};

class SimulatedTimer final : public Timer {
 public:
  SimulatedTimer(SimulationImpl& simulation, std::pair<std::chrono::nanoseconds, uint64_t> key)
      : simulation_(simulation), key_(key) {}
  void cancel() override { simulation_.cancel(key_); }

 private:
  SimulationImpl& simulation_;
  std::pair<std::chrono::nanoseconds, uint64_t> key_;
};

SimulatedRuntime::~SimulatedRuntime() {
  crash();
  simulation_.forget(this);
}

void SimulatedRuntime::post_to_pool(Lane, std::function<void()> work) {
  // Work takes up to a tenth of a millisecond, so that its completions come in any order.
  const std::chrono::nanoseconds delay(static_cast<int64_t>(simulation_.random().below(100'000)));
  simulation_.schedule(delay, [this, alive = alive_, work = std::move(work)] {
    if (!*alive) return;
    const base::WatchedThread watched(no_misuses_, base::ThreadRole::kWorks);
    work();
  });
}

std::unique_ptr<Timer> SimulatedRuntime::after(Millis delay, std::function<void()> callback) {
  const auto key =
      simulation_.schedule(delay, [this, alive = alive_, callback = std::move(callback)] {
        if (*alive) boost::asio::post(*context_, callback);
      });
  return std::make_unique<SimulatedTimer>(simulation_, key);
}

const Clock& SimulatedRuntime::clock() const {
  return simulation_.clock();
}
Random& SimulatedRuntime::random() {
  return simulation_.random();
}

void SimulatedRuntime::write(LogLevel, std::string_view event,
                             std::span<const base::LogField> fields) {
  std::string line = name_;
  line.append(" ").append(event);
  for (const base::LogField& field : fields)
    line.append(" ").append(field.name).append("=").append(field.value);
  simulation_.trace(line);
}

}  // namespace

std::unique_ptr<Simulation> Simulation::create(uint64_t seed) {
  return std::make_unique<SimulationImpl>(seed);
}

}  // namespace polder::runtime
