// What was read of rooms and decoded, by room and number.
#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>

namespace polder::stores {

// For what never changes under its number. Bounded: what was used least lately goes. Thread-safe.
template <class T>
class RoomCache {
 public:
  explicit RoomCache(size_t entries_max) : part_max_(entries_max / kParts + 1) {}

  // Null if it is not held.
  std::shared_ptr<const T> find(uint64_t room, uint64_t number) {
    const Key key{room, number};
    Part& part = part_of(key);
    const std::lock_guard lock(part.mutex);
    const auto place = part.places.find(key);
    if (place == part.places.end()) return nullptr;
    part.recent.splice(part.recent.begin(), part.recent, place->second);
    return place->second->second;
  }

  void insert(uint64_t room, uint64_t number, std::shared_ptr<const T> content) {
    const Key key{room, number};
    Part& part = part_of(key);
    const std::lock_guard lock(part.mutex);
    if (part.places.contains(key)) return;
    part.recent.emplace_front(key, std::move(content));
    part.places.emplace(key, part.recent.begin());
    if (part.recent.size() > part_max_) {
      part.places.erase(part.recent.back().first);
      part.recent.pop_back();
    }
  }

 private:
  static constexpr size_t kParts = 16;
  using Key = std::pair<uint64_t, uint64_t>;
  using Recent = std::list<std::pair<Key, std::shared_ptr<const T>>>;  // most recent first
  struct KeyHash {
    size_t operator()(const Key& key) const {
      return (key.first * 0x9E3779B97F4A7C15u ^ key.second) * 0xBF58476D1CE4E5B9u >> 8;
    }
  };
  struct Part {
    std::mutex mutex;
    Recent recent;
    std::unordered_map<Key, typename Recent::iterator, KeyHash> places;
  };
  Part& part_of(const Key& key) { return parts_[KeyHash()(key) % kParts]; }

  const size_t part_max_;
  std::array<Part, kParts> parts_;
};

}  // namespace polder::stores
