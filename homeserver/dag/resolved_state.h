// The state that grows while a resolution runs.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "homeserver/dag/event_cache.h"
#include "homeserver/dag/source.h"

namespace polder::dag {

struct StateKeyHash {
  size_t operator()(events::StateKeyView key) const {
    std::hash<std::string_view> hash;
    return hash(key.type) * 31 + hash(key.key);
  }
};

// Events set so far, over an unconflicted state or nothing. Borrows the cache, which keeps the
// events whose keys it refers to.
class ResolvedState {
 public:
  ResolvedState(EventCache& cache, const UnconflictedState* base) : cache_(cache), base_(base) {}

  void reserve(size_t events) { events_.reserve(events); }
  // The event must be a state event that the cache has.
  Status set(EventNumber number);
  Result<std::optional<EventNumber>> find(events::StateKeyView key) const;
  // Without what lies below.
  std::optional<EventNumber> find_set(events::StateKeyView key) const;
  const auto& all_set() const { return events_; }

 private:
  EventCache& cache_;
  const UnconflictedState* base_;
  std::unordered_map<events::StateKeyView, EventNumber, StateKeyHash> events_;
};

}  // namespace polder::dag
