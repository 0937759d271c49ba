// What was read of rooms and decoded, by room and number.
#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <memory>
#include <unordered_map>
#include <utility>

#include "homeserver/base/metrics/cache.h"
#include "homeserver/base/values/mutex.h"

namespace polder::stores {

// Bounded by bytes: what was not used lately goes. Thread-safe.
template <class T>
class RoomCache {
 public:
  explicit RoomCache(size_t bytes_max) : part_max_(bytes_max / kParts) {}

  // Null if it is not held.
  std::shared_ptr<const T> find(uint64_t room, uint64_t number) {
    const Key key{room, number};
    Part& part = part_of(key);
    const base::Lock lock(part.mutex);
    const auto place = part.places.find(key);
    part.figures.count(place != part.places.end());
    if (place == part.places.end()) return nullptr;
    // It is moved when it would go: that is rare, and finding is not.
    place->second->used = true;
    return place->second->content;
  }

  // In place of what is held under the number. `bytes`: what the content takes.
  void insert(uint64_t room, uint64_t number, std::shared_ptr<const T> content, size_t bytes) {
    const Key key{room, number};
    Part& part = part_of(key);
    const base::Lock lock(part.mutex);
    if (const auto place = part.places.find(key); place != part.places.end())
      part.drop(place->second);
    part.recent.push_front({key, std::move(content), bytes + kEntryBytes});
    part.places.emplace(key, part.recent.begin());
    part.bytes += bytes + kEntryBytes;
    for (; part.bytes > part_max_; ++part.figures.evictions)
      part.drop_one();
  }

  metrics::CacheFigures figures() const {
    metrics::CacheFigures all;
    for (const Part& part : parts_) {
      const base::Lock lock(part.mutex);
      metrics::CacheFigures figures = part.figures;
      figures.entries = part.places.size();
      figures.bytes = part.bytes;
      all += figures;
    }
    return all;
  }

 private:
  static constexpr size_t kParts = 16;
  static constexpr size_t kEntryBytes = 160;  // what an entry takes besides its content
  using Key = std::pair<uint64_t, uint64_t>;
  struct Entry {
    Key key;
    std::shared_ptr<const T> content;
    size_t bytes = 0;
    bool used = false;  // found since it came to the front
  };
  using Recent = std::list<Entry>;  // most recent first
  struct KeyHash {
    size_t operator()(const Key& key) const {
      return (key.first * 0x9E3779B97F4A7C15u ^ key.second) * 0xBF58476D1CE4E5B9u >> 8;
    }
  };
  struct Part {
    void drop(typename Recent::iterator entry) REQUIRES(mutex) {
      bytes -= entry->bytes;
      places.erase(entry->key);
      recent.erase(entry);
    }
    // The last that nobody found since it came to the front; who was found comes there again.
    void drop_one() REQUIRES(mutex) {
      auto last = std::prev(recent.end());
      for (; std::exchange(last->used, false); last = std::prev(recent.end()))
        recent.splice(recent.begin(), recent, last);
      drop(last);
    }

    mutable base::Mutex mutex;
    Recent recent GUARDED_BY(mutex);
    std::unordered_map<Key, typename Recent::iterator, KeyHash> places GUARDED_BY(mutex);
    size_t bytes GUARDED_BY(mutex) = 0;
    metrics::CacheFigures figures GUARDED_BY(mutex);
  };
  Part& part_of(const Key& key) { return parts_[KeyHash()(key) % kParts]; }

  const size_t part_max_;
  std::array<Part, kParts> parts_;
};

}  // namespace polder::stores
