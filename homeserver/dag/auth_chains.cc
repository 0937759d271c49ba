// The walks over auth chains that a Source without an index makes.
#include <algorithm>
#include <memory>
#include <unordered_map>

#include "homeserver/dag/source.h"

namespace polder::dag {
namespace {

Error too_many_events() {
  return fail(ErrorCode::kTooLarge, "the auth chains of this room are too long to walk");
}

// Walks auth chains from the newest event down and marks each event with the state sets whose chain
// it is in. Since auth events have smaller numbers, an event's marks are complete when its turn
// comes, and once only events remain that are in all chains, so is everything below them.
class DifferenceWalk {
 public:
  DifferenceWalk(size_t sets, Source& source)
      : sets_(sets), words_((sets + 63) / 64), source_(source) {}

  Status add_conflicted(const StateSets& sets);
  Status add_unconflicted(const UnconflictedState& state);
  Result<std::vector<EventNumber>> run();

 private:
  using Mask = std::vector<uint64_t>;

  bool is_full(size_t slot) const;
  Mask full_mask() const;
  Status mark_auth_events(EventNumber number, const Mask& mask);
  Status mark(EventNumber number, const Mask& mask);

  size_t sets_;
  size_t words_;
  Source& source_;
  std::vector<EventNumber> frontier_;  // heap, largest first
  std::vector<EventNumber> shared_;    // heap of unconflicted events: their chains are in every set
  std::unordered_map<EventNumber, size_t> slots_;
  std::vector<uint64_t> masks_;  // words_ for each slot
  size_t partial_ = 0;           // how many of the frontier are not in all chains
  std::vector<EventNumber> scratch_;
};

DifferenceWalk::Mask DifferenceWalk::full_mask() const {
  Mask mask(words_, ~uint64_t{0});
  if (sets_ % 64 != 0) mask.back() = (uint64_t{1} << (sets_ % 64)) - 1;
  return mask;
}

bool DifferenceWalk::is_full(size_t slot) const {
  size_t count = 0;
  for (size_t i = 0; i < words_; ++i)
    count += static_cast<size_t>(__builtin_popcountll(masks_[slot * words_ + i]));
  return count == sets_;
}

Status DifferenceWalk::mark(EventNumber number, const Mask& mask) {
  auto [position, added] = slots_.try_emplace(number, slots_.size());
  size_t slot = position->second;
  bool was_full = !added && is_full(slot);
  if (added) {
    if (slots_.size() > kMaxWalkedEvents) return too_many_events();
    masks_.resize(masks_.size() + words_);
    frontier_.push_back(number);
    std::push_heap(frontier_.begin(), frontier_.end());
    ++partial_;
  }
  for (size_t i = 0; i < words_; ++i)
    masks_[slot * words_ + i] |= mask[i];
  if (!was_full && is_full(slot)) --partial_;
  return {};
}

Status DifferenceWalk::mark_auth_events(EventNumber number, const Mask& mask) {
  scratch_.clear();
  POLDER_CHECK(source_.auth_events(number, scratch_));
  for (EventNumber auth : scratch_) {
    if (auth >= number) return fail(ErrorCode::kCorrupt, "an auth event is newer than its event");
    POLDER_CHECK(mark(auth, mask));
  }
  return {};
}

Status DifferenceWalk::add_conflicted(const StateSets& sets) {
  std::vector<std::pair<EventNumber, size_t>> roots;
  for (size_t set = 0; set < sets.conflicted.size(); ++set) {
    for (EventNumber number : sets.conflicted[set])
      roots.emplace_back(number, set);
  }
  std::sort(roots.begin(), roots.end());
  for (size_t i = 0; i < roots.size();) {
    EventNumber number = roots[i].first;
    Mask mask(words_);
    for (; i < roots.size() && roots[i].first == number; ++i)
      mask[roots[i].second / 64] |= uint64_t{1} << (roots[i].second % 64);
    POLDER_CHECK(mark_auth_events(number, mask));
  }
  return {};
}

Status DifferenceWalk::add_unconflicted(const UnconflictedState& state) {
  if (partial_ == 0) return {};
  POLDER_CHECK(state.each([this](EventNumber number) { shared_.push_back(number); }));
  std::make_heap(shared_.begin(), shared_.end());
  return {};
}

Result<std::vector<EventNumber>> DifferenceWalk::run() {
  const Mask full = full_mask();
  std::vector<EventNumber> difference;
  while (partial_ > 0) {
    EventNumber next = frontier_.front();
    if (!shared_.empty() && shared_.front() > next) {
      EventNumber root = shared_.front();
      std::pop_heap(shared_.begin(), shared_.end());
      shared_.pop_back();
      POLDER_CHECK(mark_auth_events(root, full));
      continue;
    }
    std::pop_heap(frontier_.begin(), frontier_.end());
    frontier_.pop_back();
    size_t slot = slots_.at(next);
    if (!is_full(slot)) {
      difference.push_back(next);
      --partial_;
    }
    auto first = masks_.begin() + static_cast<std::ptrdiff_t>(slot * words_);
    POLDER_CHECK(mark_auth_events(next, Mask(first, first + static_cast<std::ptrdiff_t>(words_))));
  }
  std::reverse(difference.begin(), difference.end());
  return difference;
}

}  // namespace

// An event is in the full auth chain of a state if it is in the chain of one of the state's events.
// Those of unconflicted events are in every state's chain, so each of them is marked as such.
Result<std::vector<EventNumber>> Source::auth_difference(const StateSets& sets) {
  if (sets.conflicted.size() < 2) return std::vector<EventNumber>{};
  DifferenceWalk walk(sets.conflicted.size(), *this);
  POLDER_CHECK(walk.add_conflicted(sets));
  POLDER_CHECK(walk.add_unconflicted(sets.unconflicted));
  return walk.run();
}

// What lies between conflicted events is reachable from one of them and reaches one. Events older
// than all conflicted ones reach none and are not visited. Ascending order decides what an event
// reaches after its auth events, without recursion.
Result<std::vector<EventNumber>> Source::conflicted_subgraph(
    std::span<const EventNumber> conflicted) {
  if (conflicted.empty()) return std::vector<EventNumber>{};
  const EventNumber oldest = *std::min_element(conflicted.begin(), conflicted.end());
  struct Visit {
    std::vector<EventNumber> auth_events;
    bool reaches = false;  // a conflicted event
  };
  std::unordered_map<EventNumber, Visit> visits;
  std::vector<EventNumber> waiting;
  for (EventNumber number : conflicted) {
    if (visits.try_emplace(number, Visit{{}, true}).second) waiting.push_back(number);
  }
  std::vector<EventNumber> order;
  while (!waiting.empty()) {
    EventNumber number = waiting.back();
    waiting.pop_back();
    order.push_back(number);
    if (order.size() > kMaxWalkedEvents) return too_many_events();
    std::vector<EventNumber> auth_events;
    POLDER_CHECK(this->auth_events(number, auth_events));
    std::erase_if(auth_events, [oldest](EventNumber auth) { return auth < oldest; });
    for (EventNumber auth : auth_events) {
      if (auth >= number) return fail(ErrorCode::kCorrupt, "an auth event is newer than its event");
      if (visits.try_emplace(auth).second) waiting.push_back(auth);
    }
    visits.at(number).auth_events = std::move(auth_events);
  }

  std::sort(order.begin(), order.end());
  std::vector<EventNumber> subgraph;
  for (EventNumber number : order) {
    Visit& visit = visits.at(number);
    visit.reaches =
        visit.reaches || std::any_of(visit.auth_events.begin(), visit.auth_events.end(),
                                     [&](EventNumber auth) { return visits.at(auth).reaches; });
    if (visit.reaches) subgraph.push_back(number);
  }
  return subgraph;
}

}  // namespace polder::dag
