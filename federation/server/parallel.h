// Several things at once, but not too many.
#pragma once

#include <algorithm>
#include <memory>

#include "homeserver/base/runtime/sync.h"

namespace polder::federation_server {

namespace internal {

template <class F>
struct Parallel {
  F make;
  size_t count;
  size_t next = 0;
};

template <class F>
Task<void> take_turns(std::shared_ptr<Parallel<F>> work) {
  while (work->next < work->count)
    co_await work->make(work->next++);
}

}  // namespace internal

// Runs the tasks make(0) to make(count - 1) on the calling shard, begun in this order and at most
// `width` at a time; returns when all have ended.
template <class F>
Task<void> in_parallel(runtime::Runtime& runtime, size_t count, size_t width, F make) {
  auto work =
      std::make_shared<internal::Parallel<F>>(internal::Parallel<F>{std::move(make), count});
  runtime::TaskGroup group(runtime);
  for (size_t i = 0; i < std::min(count, width); ++i) {
    group.spawn(runtime.shard(runtime.current_shard()), "federation_server",
                internal::take_turns(work));
  }
  co_await group.wait_all();
}

}  // namespace polder::federation_server
