// Work on a long list, spread over the pool.
#pragma once

#include <functional>

#include "homeserver/base/runtime/runtime.h"

namespace polder::rooms {

// Calls work(i) for each i below count, in pieces, several of which run on the pool at once: what
// different calls touch must be different. Called on a shard; returns after the last.
Task<void> for_each_on_pool(runtime::Runtime& runtime, size_t count,
                            std::function<void(size_t)> work);

}  // namespace polder::rooms
