// A part of the table of interned names that is in memory: bounded, each entry replaced by itself.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "homeserver/base/metrics/cache.h"

namespace polder::stores {

// Texts and numbers found by one of the two. When it is full, the next entry that nobody asked for
// since the hand came by last makes room (the clock algorithm); pinned ones stay, so that it may
// hold more than its bound while many are. Not thread-safe.
template <class Key>  // uint64_t or std::string_view
class NameCache {
 public:
  struct Entry {
    std::string text;
    uint64_t number = 0;
    bool pinned = false;  // not on disk yet
    bool used = true;
  };

  explicit NameCache(size_t entries_max) : entries_max_(entries_max) {}

  // Null if it is not here. Stays until the next insert().
  Entry* find(Key key) {
    const auto found = index_.find(key);
    if (found == index_.end()) return nullptr;
    found->second->used = true;
    return found->second;
  }

  // What is there already stays, but for being pinned.
  void insert(std::string_view text, uint64_t number, bool pinned) {
    if (Entry* known = find(key_of(text, number)); known != nullptr) {
      known->pinned = known->pinned && pinned;
      return;
    }
    Entry& entry = place();
    entry = {std::string(text), number, pinned, true};
    index_.emplace(key_of(entry.text, number), &entry);
  }

  void unpin(Key key) {
    if (const auto found = index_.find(key); found != index_.end()) found->second->pinned = false;
  }

  // The same, as a look-up that is counted.
  Entry* look_up(Key key) {
    Entry* const found = find(key);
    figures_.count(found != nullptr);
    return found;
  }
  metrics::CacheFigures figures() const {
    metrics::CacheFigures figures = figures_;
    figures.evictions = replaced_;
    figures.entries = size();
    return figures;
  }

  size_t size() const { return index_.size(); }
  // How many entries ever made room: what was not here then, and was read since, may have been
  // here in between.
  uint64_t replaced() const { return replaced_; }

 private:
  static constexpr size_t kStepsMax = 64;  // of the hand for one entry; then it holds one more

  static Key key_of(std::string_view text, uint64_t number) {
    if constexpr (std::is_same_v<Key, uint64_t>) {
      return number;
    } else {
      return text;
    }
  }

  // An entry to be filled, in no index.
  Entry& place() {
    if (entries_.size() < entries_max_) return entries_.emplace_back();
    for (size_t steps = 0; steps < kStepsMax; ++steps) {
      hand_ = (hand_ + 1) % entries_.size();
      Entry& entry = entries_[hand_];
      if (entry.pinned || std::exchange(entry.used, false)) continue;
      index_.erase(key_of(entry.text, entry.number));
      ++replaced_;
      return entry;
    }
    return entries_.emplace_back();
  }

  const size_t entries_max_;
  std::deque<Entry> entries_;  // which stay where they are: the index refers to their texts
  std::unordered_map<Key, Entry*> index_;
  size_t hand_ = 0;
  uint64_t replaced_ = 0;
  metrics::CacheFigures figures_;
};

}  // namespace polder::stores
