// An index over auth chains that is held in memory, for tests and benchmarks.
#pragma once

#include <algorithm>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "homeserver/protocol/dag/auth_chains.h"

namespace polder::dag {

class MemoryChains final : public ChainIndex {
 public:
  // Events come in the order of their numbers, from 1, without gaps.
  void add(EventNumber number, const StateKey& key, std::span<const EventNumber> auth_events) {
    EventNumber before = 0;
    for (const EventNumber auth : auth_events) {
      const Entry& entry = entries_.at(auth - 1);
      if (entry.key == key && entry.is_last) before = std::max(before, auth);
    }
    auto place = choose_chain_place(number, before, auth_events, *this);
    if (before != 0) entries_[before - 1].is_last = false;
    entries_.push_back({key, *std::move(place), true});
  }

  Result<ChainPlace> chain_place(EventNumber number) override {
    ++reads_;
    if (number == 0 || number > entries_.size()) return fail(ErrorCode::kNotFound, "no such event");
    return entries_[number - 1].place.view();
  }

  // How many places were asked for so far.
  size_t reads() const { return reads_; }
  // How many links all events have together.
  size_t links() const {
    size_t links = 0;
    for (const Entry& entry : entries_)
      links += entry.place.links.size();
    return links;
  }

 private:
  struct Entry {
    StateKey key;
    NewChainPlace place;
    bool is_last;  // of its chain
  };

  std::vector<Entry> entries_;
  size_t reads_ = 0;
};

}  // namespace polder::dag
