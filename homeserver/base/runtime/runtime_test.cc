#include <future>
#include <thread>

#include "homeserver/base/runtime/simulated.h"
#include "homeserver/base/runtime/sync.h"
#include "homeserver/base/runtime/threads.h"

namespace polder::runtime {
namespace {

// Runs a task on shard 0 of a real runtime with two shards, to its end.
class ThreadsTest : public testing::Test {
 protected:
  void run(std::function<Task<void>(Runtime&)> body) {
    runtime_ = Threads::create({.shards = 2, .pool_threads = 3}, clock_, random_, log_);
    spawn(*runtime_, runtime_->shard(0), "test", finish(std::move(body)));
    runtime_->run();
  }

 private:
  Task<void> finish(std::function<Task<void>(Runtime&)> body) {
    co_await body(*runtime_);
    runtime_->stop();
  }

  base::SystemClock clock_;
  base::SystemRandom random_;
  base::NullLog log_;
  std::unique_ptr<Threads> runtime_;
};

Task<int> add_on_pool(Runtime& runtime, int value) {
  co_return co_await on_pool(runtime, [value] { return value + 1; });
}

TEST_F(ThreadsTest, PoolWorkRunsElsewhereAndReturnsHome) {
  run([](Runtime& runtime) -> Task<void> {
    const auto home = std::this_thread::get_id();
    const auto there = co_await on_pool(runtime, [] { return std::this_thread::get_id(); });
    EXPECT_NE(home, there);
    EXPECT_EQ(home, std::this_thread::get_id());
    auto moved = co_await on_pool(runtime, [] { return std::make_unique<int>(7); });
    EXPECT_EQ(*moved, 7);
    co_await on_pool(runtime, [] {});
  });
}

// However much waits in one lane, the others go on.
TEST_F(ThreadsTest, ABusyLaneHoldsUpNoOther) {
  run([](Runtime& runtime) -> Task<void> {
    constexpr size_t kWorks = 20;
    std::promise<void> open;
    const std::shared_future<void> gate = open.get_future().share();
    for (size_t i = 0; i < kWorks; ++i)
      runtime.post_to_pool(Lane::kLong, [gate] { gate.wait(); });
    for (const Lane lane : {Lane::kRead, Lane::kShort, Lane::kCommit})
      EXPECT_EQ(co_await on_pool(runtime, lane, [] { return 1; }), 1);
    EXPECT_GE(runtime.backlog(Lane::kLong), kWorks - runtime.shard_count());
    EXPECT_EQ(runtime.backlog(Lane::kRead), 0u);
    open.set_value();
    co_await on_pool(runtime, Lane::kLong, [] {});
    EXPECT_EQ(runtime.backlog(Lane::kLong), 0u);
  });
}

Task<Status> fails(Runtime& runtime) {
  co_await on_pool(runtime, [] {});
  co_return fail(ErrorCode::kUnavailable, "nobody there");
}

TEST_F(ThreadsTest, WhatRunsByItselfIsSeen) {
  run([](Runtime& runtime) -> Task<void> {
    const auto of = [&](std::string_view name) {
      for (JobReport& report : runtime.jobs().reports()) {
        if (report.name == name) return report;
      }
      return JobReport();
    };
    EXPECT_EQ(of("test").running, 1u);
    spawn(runtime, runtime.shard(0), "failing", fails(runtime));
    spawn(runtime, runtime.shard(0), "failing", fails(runtime));
    EXPECT_EQ(of("failing").running, 2u);
    while (of("failing").ended < 2)
      co_await sleep_for(runtime, Millis(1));
    EXPECT_EQ(of("failing").running, 0u);
    EXPECT_EQ(of("failing").failed, 2u);
    EXPECT_EQ(of("failing").last_failure, "nobody there");
    runtime.jobs().failed("test", fail(ErrorCode::kIo, "once more"), 9);
    EXPECT_EQ(of("test").running, 1u);
    EXPECT_EQ(of("test").failed, 1u);
    EXPECT_EQ(of("test").last_failure, "once more");
    runtime.jobs().progress("failing", 3, 7);
    EXPECT_EQ(of("failing").done, 3u);
    EXPECT_EQ(of("failing").total, 7u);
  });
}

TEST_F(ThreadsTest, AnExceptionInPoolWorkReachesTheCaller) {
  run([](Runtime& runtime) -> Task<void> {
    bool caught = false;
    try {
      co_await on_pool(runtime, []() -> int { throw std::runtime_error("bug"); });
    } catch (const std::runtime_error&) {
      caught = true;
    }
    EXPECT_TRUE(caught);
  });
}

TEST_F(ThreadsTest, AnotherShardRunsATaskToItsEnd) {
  run([](Runtime& runtime) -> Task<void> {
    EXPECT_EQ(runtime.current_shard(), 0u);
    const int value =
        co_await on_shard(runtime, 1, [&runtime]() { return add_on_pool(runtime, 1); });
    EXPECT_EQ(value, 2);
    EXPECT_EQ(runtime.current_shard(), 0u);
  });
}

TEST_F(ThreadsTest, ManyHopsAtOnceAllComeBack) {
  run([](Runtime& runtime) -> Task<void> {
    TaskGroup group(runtime);
    int done = 0;
    for (int i = 0; i < 200; ++i) {
      group.spawn(runtime.shard(0), "hop", [](Runtime& hops, int value, int& count) -> Task<void> {
        EXPECT_EQ(co_await add_on_pool(hops, value), value + 1);
        EXPECT_EQ(co_await on_shard(hops, 1, [&hops, value]() { return add_on_pool(hops, value); }),
                  value + 1);
        ++count;
      }(runtime, i, done));
    }
    co_await group.wait_all();
    EXPECT_EQ(done, 200);
  });
}

TEST_F(ThreadsTest, SignalsWakeOrTimeOut) {
  run([](Runtime& runtime) -> Task<void> {
    Signal signal(runtime);
    EXPECT_FALSE(co_await signal.wait_for(Millis(1)));
    EXPECT_EQ(signal.waiting(), 0u);
    const auto timer = runtime.after(Millis(1), [&] { signal.notify_all(); });
    EXPECT_TRUE(co_await signal.wait_for(Millis(60'000)));
  });
}

// What a task has to do with its service when it dies.
struct Service {
  explicit Service(Runtime& of) : runtime(of) {
    for (size_t shard = 0; shard < of.shard_count(); ++shard)
      signals.push_back(std::make_unique<Signal>(of));
  }
  Runtime& runtime;
  std::vector<std::unique_ptr<Signal>> signals;  // one of each shard
  std::atomic<size_t> waiting = 0;
  std::vector<size_t> left_on;  // the shards on which tasks died
};
struct Uses {
  Service& service;
  ~Uses() { service.left_on.push_back(service.runtime.current_shard()); }
};
Task<void> wait_in(Service& service) {
  const Uses uses{service};
  ++service.waiting;
  co_await service.signals[service.runtime.current_shard()]->wait();
}

TEST_F(ThreadsTest, WhatIsSuspendedAtTheEndDiesBeforeItsServices) {
  std::unique_ptr<Service> service;
  run([&service](Runtime& runtime) -> Task<void> {
    service = std::make_unique<Service>(runtime);
    for (size_t shard = 0; shard < runtime.shard_count(); ++shard)
      spawn(runtime, runtime.shard(shard), "waits", wait_in(*service));
    while (service->waiting < runtime.shard_count())
      co_await sleep_for(runtime, Millis(1));
  });
  EXPECT_EQ(service->left_on, (std::vector<size_t>{0, 1}));
  service.reset();
}

Task<void> take_turn(Runtime& runtime, SerialQueue& queue, int number, std::vector<int>& order) {
  const auto turn = co_await queue.turn();
  order.push_back(number);
  co_await sleep_for(runtime, Millis(static_cast<int64_t>(runtime.random().below(5))));
  order.push_back(number);
}

TEST(SerialQueue, GivesTurnsInOrderOfArrivalOneAtATime) {
  const auto simulation = Simulation::create(1);
  const auto runtime = simulation->add_runtime("a");
  SerialQueue queue(*runtime);
  std::vector<int> order;
  for (int i = 0; i < 5; ++i)
    spawn(*runtime, runtime->shard(0), "turn", take_turn(*runtime, queue, i, order));
  simulation->run_for(Millis(1000));
  EXPECT_EQ(order, (std::vector<int>{0, 0, 1, 1, 2, 2, 3, 3, 4, 4}));
  EXPECT_TRUE(queue.idle());
}

Task<Status> noted(Runtime& runtime, int number, std::vector<int>& order) {
  order.push_back(number);
  co_await sleep_for(runtime, Millis(10));
  order.push_back(number);
  co_return Status();
}

Task<void> in_turn_of(Runtime& runtime, KeyedQueues& queues, int number, std::vector<int>& order) {
  auto make = [&runtime, number, &order] { return noted(runtime, number, order); };
  EXPECT_TRUE((co_await queues.in_turn(static_cast<uint64_t>(number / 10), make)).ok());
}

TEST(KeyedQueues, OneKeyAfterTheOtherDifferentKeysAtOnce) {
  const auto simulation = Simulation::create(1);
  const auto runtime = simulation->add_runtime("a");
  KeyedQueues queues(*runtime);
  std::vector<int> order;
  for (const int number : {10, 11, 20})
    spawn(*runtime, runtime->shard(0), "turn", in_turn_of(*runtime, queues, number, order));
  simulation->run_for(Millis(1000));
  ASSERT_EQ(order.size(), 6u);
  const auto place = [&](int number) { return std::ranges::find(order, number) - order.begin(); };
  EXPECT_LT(place(20), 2);
  EXPECT_EQ(std::count(order.begin(), order.begin() + place(11), 10), 2);
}

TEST_F(ThreadsTest, KeyedQueuesAreDroppedWhenNobodyHasATurn) {
  run([](Runtime& runtime) -> Task<void> {
    KeyedQueues queues(runtime);
    std::vector<int> order;
    co_await in_turn_of(runtime, queues, 10, order);
    co_await in_turn_of(runtime, queues, 10, order);
    EXPECT_EQ(order.size(), 4u);
    EXPECT_EQ(queues.size(), 0u);
  });
}

Task<void> chatter(Runtime& runtime, int steps) {
  for (int i = 0; i < steps; ++i) {
    co_await sleep_for(runtime, Millis(static_cast<int64_t>(runtime.random().below(3))));
    const int value = co_await on_pool(runtime, [i] { return i; });
    runtime.log().info("step", {{"value", value}});
  }
}

uint64_t run_seed(uint64_t seed) {
  const auto simulation = Simulation::create(seed);
  const auto a = simulation->add_runtime("a");
  const auto b = simulation->add_runtime("b");
  for (Runtime* runtime : {a.get(), b.get()}) {
    for (int i = 0; i < 3; ++i)
      spawn(*runtime, runtime->shard(0), "chatter", chatter(*runtime, 10));
  }
  simulation->run_for(Millis(10'000));
  return simulation->trace_hash();
}

TEST(Simulation, IsAFunctionOfItsSeed) {
  std::set<uint64_t> hashes;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    EXPECT_EQ(run_seed(seed), run_seed(seed));
    hashes.insert(run_seed(seed));
  }
  EXPECT_EQ(hashes.size(), 20u);
}

TEST(Simulation, TimeIsVirtual) {
  const auto simulation = Simulation::create(1);
  const int64_t before = simulation->clock().wall_ms();
  simulation->run_for(Millis(86'400'000));
  EXPECT_EQ(simulation->clock().wall_ms() - before, 86'400'000);
}

TEST(Simulation, NothingOfACrashedRuntimeRunsAgain) {
  const auto simulation = Simulation::create(1);
  const auto runtime = simulation->add_runtime("a");
  int steps = 0;
  spawn(*runtime, runtime->shard(0), "count", [](Runtime& mine, int& count) -> Task<void> {
    for (;;) {
      co_await sleep_for(mine, Millis(10));
      co_await on_pool(mine, [&count] { ++count; });
    }
  }(*runtime, steps));
  simulation->run_for(Millis(100));
  EXPECT_GT(steps, 5);
  const int at_crash = steps;
  simulation->crash(*runtime);
  simulation->run_for(Millis(1000));
  EXPECT_EQ(steps, at_crash);
}

Task<void> uses_the_disk(Runtime& runtime, bool on_shard, bool under_lock) {
  const auto use = [under_lock] {
    base::Mutex mutex;
    base::Lock lock(mutex);
    if (!under_lock) lock.unlock();
    base::note_disk_use("a file");
  };
  if (on_shard) {
    use();
  } else {
    co_await on_pool(runtime, use);
  }
}

void simulate_use_of_the_disk(bool on_shard, bool under_lock) {
  const auto simulation = Simulation::create(1);
  const auto runtime = simulation->add_runtime("a");
  spawn(*runtime, runtime->shard(0), "uses", uses_the_disk(*runtime, on_shard, under_lock));
  simulation->run_for(Millis(1));
}

TEST(Simulation, EndsWithTheFirstMisuseOfTheDisk) {
  simulate_use_of_the_disk(false, false);
  base::note_disk_use("outside of all runtimes");
  EXPECT_DEATH(simulate_use_of_the_disk(true, false), "a: the disk was used .a file. on a shard");
  EXPECT_DEATH(simulate_use_of_the_disk(false, true), "a: the disk was used .a file. under a lock");
}

}  // namespace
}  // namespace polder::runtime
