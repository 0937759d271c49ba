// The state that grows while a resolution runs.
#pragma once

#include <cstddef>
#include <memory_resource>
#include <optional>
#include <span>
#include <vector>

#include "homeserver/protocol/dag/event_cache.h"
#include "homeserver/protocol/dag/source.h"
#include "homeserver/protocol/dag/state_resolution.h"

namespace polder::dag {

// Events set so far, over an unconflicted state or nothing, which is asked at most once for a key
// that it has. Borrows the cache, which keeps the events whose keys it refers to.
class ResolvedState {
 public:
  // Of a key: what was set, and what lies below.
  struct Entry {
    events::StateKeyView key;
    size_t hash = 0;
    std::optional<Slot> set{};
    std::optional<Slot> base{};
    bool has_base = false;                    // known whether there is one
    const events::Event* accepted = nullptr;  // what was found last, until another is set
  };

  // The state below has none of the conflicted keys, which must outlive this one.
  ResolvedState(EventCache& cache, const UnconflictedState* base,
                std::span<const ConflictedKey> conflicted);

  // The event must be a state event.
  Status set(Slot slot);
  Result<std::optional<Slot>> find(events::StateKeyView key);
  // The event, or null if there is none or it was rejected.
  Result<const events::Event*> find_accepted(events::StateKeyView key);
  // What was set of the conflicted keys, sorted by key.
  std::vector<ResolvedKey> conflicted() const;
  // How many keys were set.
  size_t size() const { return size_; }
  // Also of keys that were not set.
  const std::pmr::vector<Entry>& entries() const { return entries_; }

 private:
  // The entry's position, or where in the table it would be named.
  struct Place {
    std::optional<uint32_t> entry{};
    size_t hash = 0;
    size_t at = 0;
  };

  Place place_of(events::StateKeyView key) const;
  Result<std::optional<Slot>> find_at(const Place& place, events::StateKeyView key);
  Entry& entry(events::StateKeyView key);
  void grow();

  EventCache& cache_;
  const UnconflictedState* base_;
  size_t size_ = 0;
  std::pmr::vector<uint32_t> conflicted_;  // positions among the entries
  std::pmr::vector<Entry> entries_;   // the first are those of the keys that most checks ask for
  std::pmr::vector<uint32_t> table_;  // open-addressed: the entry's position + 1, or 0
};

}  // namespace polder::dag
