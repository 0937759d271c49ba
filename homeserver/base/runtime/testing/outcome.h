// What a task gives, waited for in simulated time: for tests.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <utility>

#include "homeserver/base/runtime/simulated.h"

namespace polder::runtime {

// Runs the task and leaves what it gives in the result, which lives until then.
template <class T>
Task<void> keep(Task<T> task, std::optional<T>& result) {
  result.emplace(co_await std::move(task));
}

// Runs the task on the runtime's first shard until its end, which has to come within that time.
template <class T>
T outcome(Simulation& simulation, Runtime& runtime, Task<T> task, Millis longest = Millis(60'000)) {
  std::optional<T> result;
  spawn(runtime, runtime.shard(0), "test", keep(std::move(task), result));
  EXPECT_TRUE(simulation.run_until([&] { return result.has_value(); }, longest));
  return std::move(*result);
}

}  // namespace polder::runtime
