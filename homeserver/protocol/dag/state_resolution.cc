#include "homeserver/protocol/dag/state_resolution.h"

#include <algorithm>
#include <iterator>
#include <memory_resource>
#include <string_view>
#include <utility>

#include "homeserver/protocol/dag/auth_chains.h"
#include "homeserver/protocol/dag/authorise.h"
#include "homeserver/protocol/dag/event_cache.h"
#include "homeserver/protocol/dag/ordering.h"
#include "homeserver/protocol/dag/power_levels.h"
#include "homeserver/protocol/dag/resolved_state.h"
#include "homeserver/protocol/dag/run_memory.h"
#include "homeserver/protocol/dag/state_resolution_v1.h"

namespace polder::dag {

using events::Event;
using events::RoomVersionRules;
using events::StateResolution;

namespace {

using Numbers = std::vector<EventNumber>;  // sorted, without duplicates, unless said otherwise
using Slots = std::pmr::vector<Slot>;

void sort_unique(Numbers& numbers) {
  std::sort(numbers.begin(), numbers.end());
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
}

// What one event of a replay is checked against: the state so far and, for keys that it lacks, the
// event's own auth events. Rejected events do not count in either.
class ReplayState final : public AuthState {
 public:
  ReplayState(EventCache& cache, ResolvedState& resolved, Slot event)
      : cache_(cache), resolved_(resolved), event_(event) {}

  Result<const Event*> find(events::StateKeyView key) const override {
    POLDER_TRY(const Event* so_far, resolved_.find_accepted(key));
    if (so_far) return so_far;
    POLDER_TRY(const auto named, from_auth_events(key));
    if (!named) return static_cast<const Event*>(nullptr);
    return cache_.accepted_event(*named);
  }

 private:
  // From version 12 on, the room id stands for the create event among the auth events.
  Result<std::optional<Slot>> from_auth_events(events::StateKeyView key) const {
    if (key == events::StateKeyView{"m.room.create", ""}) return cache_.create_event(event_);
    return cache_.auth_event(event_, key);
  }

  EventCache& cache_;
  ResolvedState& resolved_;
  Slot event_;
};

// State resolution of room version 2 and later.
class ResolutionV2 {
 public:
  ResolutionV2(const RoomVersionRules& rules, std::span<const ConflictedKey> conflicted,
               const UnconflictedState& unconflicted, Source& source)
      : is_v2_1_(rules.state_resolution == StateResolution::kV2Point1),
        conflicted_(conflicted),
        unconflicted_(unconflicted),
        cache_(source),
        resolved_(cache_, is_v2_1_ ? nullptr : &unconflicted, conflicted) {}

  Result<std::vector<ResolvedKey>> run();

 private:
  Result<Numbers> find_full_conflicted_set() const;
  Status read_full_conflicted_set(const Numbers& numbers);
  bool is_power_event(const Event& event) const;
  Result<std::pmr::vector<bool>> select_power_events();
  Status replay(const Slots& order);
  Result<std::vector<ResolvedKey>> answer() const;

  bool is_v2_1_;
  std::span<const ConflictedKey> conflicted_;
  const UnconflictedState& unconflicted_;
  EventCache cache_;
  ResolvedState resolved_;
  size_t full_size_ = 0;  // of the full conflicted set, which has the first slots of the cache
};

// "Full conflicted set": the conflicted events, the auth difference and, from version 12 on, the
// conflicted state subgraph.
Result<Numbers> ResolutionV2::find_full_conflicted_set() const {
  StateSets sets{std::vector<Numbers>(conflicted_.front().events.size()), unconflicted_};
  Numbers conflict_set;
  conflict_set.reserve(conflicted_.size() * sets.conflicted.size());
  for (size_t i = 0; i < sets.conflicted.size(); ++i) {
    sets.conflicted[i].reserve(conflicted_.size());
    for (const ConflictedKey& conflict : conflicted_) {
      if (conflict.events[i] != 0) sets.conflicted[i].push_back(conflict.events[i]);
    }
    conflict_set.insert(conflict_set.end(), sets.conflicted[i].begin(), sets.conflicted[i].end());
  }
  sort_unique(conflict_set);
  if (is_v2_1_) {
    // It has the conflicted events themselves.
    POLDER_TRY(conflict_set, conflicted_subgraph(conflict_set, cache_.source()));
  }
  POLDER_TRY(const Numbers difference, auth_difference(sets, cache_.source()));
  Numbers full_set;
  full_set.reserve(conflict_set.size() + difference.size());
  std::set_union(conflict_set.begin(), conflict_set.end(), difference.begin(), difference.end(),
                 std::back_inserter(full_set));
  return full_set;
}

Status ResolutionV2::read_full_conflicted_set(const Numbers& numbers) {
  for (const EventNumber number : numbers) {
    POLDER_TRY(const Event* event, cache_.event(cache_.slot_of(number)));
    if (!event->is_state()) return fail(ErrorCode::kCorrupt, "an auth event has no state key");
  }
  full_size_ = numbers.size();
  return {};
}

// "Power event": the room's power levels or join rules, or a membership that one user takes from
// another.
bool ResolutionV2::is_power_event(const Event& event) const {
  if (event.is("m.room.member"))
    return (event.membership() == "leave" || event.membership() == "ban") &&
           event.sender().view() != *event.state_key();
  return event.is_state("m.room.power_levels", "") || event.is_state("m.room.join_rules", "");
}

// Step 1: the power events, and what of the full conflicted set they rest on; true for the slots of
// these. As other servers do, and unlike the letter of version 2, paths that leave the set are not
// followed; in version 12 the subgraph leaves no such paths.
Result<std::pmr::vector<bool>> ResolutionV2::select_power_events() {
  std::pmr::vector<bool> selected(full_size_, false, cache_.memory());
  Slots waiting(cache_.memory());
  waiting.reserve(full_size_);
  for (Slot slot = 0; slot < full_size_; ++slot) {
    if (!is_power_event(cache_.known_event(slot))) continue;
    selected[slot] = true;
    waiting.push_back(slot);
  }
  while (!waiting.empty()) {
    POLDER_TRY(const auto auth_events, cache_.auth_events(waiting.back()));
    waiting.pop_back();
    for (const Slot auth : auth_events) {
      if (auth >= full_size_ || selected[auth]) continue;
      selected[auth] = true;
      waiting.push_back(auth);
    }
  }
  return selected;
}

// "Iterative auth checks": what the state allows becomes part of it.
Status ResolutionV2::replay(const Slots& order) {
  for (const Slot slot : order) {
    const Event& event = cache_.known_event(slot);
    Verdict verdict = judge(event, ReplayState(cache_, resolved_, slot));
    if (verdict.ok()) {
      POLDER_CHECK(resolved_.set(slot));
    } else if (!verdict.is_refusal()) {
      return describe(std::move(verdict), event.rules());
    }
  }
  return {};
}

// Step 5: what did not conflict stays as it was, whatever was replayed on its keys.
Result<std::vector<ResolvedKey>> ResolutionV2::answer() const {
  std::vector<ResolvedKey> resolved = resolved_.conflicted();
  const auto set = std::count_if(resolved.begin(), resolved.end(),
                                 [](const ResolvedKey& one) { return one.event.has_value(); });
  if (static_cast<size_t>(set) == resolved_.size()) return resolved;
  const auto by_key = [](const ResolvedKey& a, const ResolvedKey& b) { return a.key < b.key; };
  std::vector<ResolvedKey> further;
  for (const ResolvedState::Entry& entry : resolved_.entries()) {
    if (!entry.set) continue;
    ResolvedKey one{StateKey::of(entry.key), cache_.number_of(*entry.set)};
    if (std::binary_search(resolved.begin(), resolved.end(), one, by_key)) continue;
    POLDER_TRY(const auto agreed, unconflicted_.find(entry.key));
    if (!agreed) further.push_back(std::move(one));
  }
  if (further.empty()) return resolved;
  resolved.insert(resolved.end(), further.begin(), further.end());
  std::sort(resolved.begin(), resolved.end(), by_key);
  return resolved;
}

// https://spec.matrix.org/v1.19/rooms/v12/#algorithm (version 2: /rooms/v2/#algorithm)
//   1. Select the power events of the full conflicted set and those of their auth chains that are
//      in it; sort them by the reverse topological power ordering.
//   2. Replay them, starting from the unconflicted state; from version 12 on, from nothing.
//   3. Sort the other events of the set by the mainline ordering of the power levels reached.
//   4. Replay them on top.
//   5. Put the unconflicted state over the result.
Result<std::vector<ResolvedKey>> ResolutionV2::run() {
  POLDER_TRY(const Numbers full_set, find_full_conflicted_set());
  POLDER_CHECK(read_full_conflicted_set(full_set));
  POLDER_TRY(const auto is_selected, select_power_events());
  Slots power_events(cache_.memory());
  Slots others(cache_.memory());
  power_events.reserve(full_size_);
  others.reserve(full_size_);
  for (Slot slot = 0; slot < full_size_; ++slot)
    (is_selected[slot] ? power_events : others).push_back(slot);

  POLDER_TRY(const Slots power_order, power_ordering(power_events, cache_));
  POLDER_CHECK(replay(power_order));
  POLDER_TRY(const auto power_levels, resolved_.find({"m.room.power_levels", ""}));
  POLDER_TRY(const Slots mainline_order, mainline_ordering(others, power_levels, cache_));
  POLDER_CHECK(replay(mainline_order));
  return answer();
}

bool same_key(events::StateKeyView a, events::StateKeyView b) {
  return a.key == b.key && a.type == b.type;
}

// A key on which one of the states differs from the first.
struct StateDifference {
  events::StateKeyView key;
  size_t place;  // of the key in the first, or of the next one
  size_t state;
  EventNumber first;  // 0 if it has none
  EventNumber other;
  bool begins_key = false;  // the one before it, once sorted, is of another key
};

void compare(const StateMap& first, const StateMap& other, size_t state,
             std::pmr::vector<StateDifference>& out) {
  auto a = first.begin();
  auto b = other.begin();
  while (a != first.end() || b != other.end()) {
    const bool has_both = a != first.end() && b != other.end();
    const auto place = static_cast<size_t>(a - first.begin());
    if (has_both && same_key(a->first.view(), b->first.view())) {
      if (a->second != b->second)
        out.push_back({a->first.view(), place, state, a->second, b->second});
      ++a;
      ++b;
    } else if (b == other.end() || (has_both && a->first < b->first)) {
      out.push_back({a->first.view(), place, state, a->second, 0});
      ++a;
    } else {
      out.push_back({b->first.view(), place, state, 0, b->second});
      ++b;
    }
  }
}

// What whole states differ in, with its memory.
struct Conflicts {
  explicit Conflicts(std::pmr::memory_resource* memory)
      : keys(memory), events(memory), places(memory) {}
  std::pmr::vector<ConflictedKey> keys;  // sorted
  std::pmr::vector<EventNumber> events;  // of each key, of each state
  std::pmr::vector<size_t> places;       // in the first state, of those keys that it has
};

Conflicts find_conflicts(std::span<const StateMap> states, std::pmr::memory_resource* memory) {
  std::pmr::vector<StateDifference> differences(memory);
  differences.reserve(16);
  for (size_t i = 1; i < states.size(); ++i)
    compare(states[0], states[i], i, differences);
  if (states.size() > 2) {
    std::sort(differences.begin(), differences.end(),
              [](const auto& a, const auto& b) { return a.key < b.key; });
  }
  size_t keys = 0;
  for (size_t i = 0; i < differences.size(); ++i) {
    differences[i].begins_key = i == 0 || !same_key(differences[i - 1].key, differences[i].key);
    keys += differences[i].begins_key ? 1 : 0;
  }
  Conflicts conflicts(memory);
  conflicts.keys.reserve(keys);
  conflicts.places.reserve(keys);
  conflicts.events.resize(keys * states.size());
  std::span<EventNumber> left = conflicts.events;
  std::span<EventNumber> events;
  for (const StateDifference& one : differences) {
    if (one.begins_key) {
      events = left.first(states.size());
      left = left.subspan(states.size());
      std::fill(events.begin(), events.end(), one.first);
      conflicts.keys.push_back({one.key, events});
      if (one.first != 0) conflicts.places.push_back(one.place);
    }
    events[one.state] = one.other;
  }
  return conflicts;
}

// What whole states agree on: the first of them without the conflicted keys.
class Agreed final : public UnconflictedState {
 public:
  Agreed(const StateMap& state, std::span<const size_t> conflicted)
      : state_(state), conflicted_(conflicted) {}

  Result<std::optional<EventNumber>> find(events::StateKeyView key) const override {
    const auto found = state_.find(key);
    if (found == state_.end() || std::binary_search(conflicted_.begin(), conflicted_.end(),
                                                    static_cast<size_t>(found - state_.begin())))
      return std::optional<EventNumber>();
    return std::optional(found->second);
  }
  Status each(const std::function<void(EventNumber)>& visit) const override {
    auto conflict = conflicted_.begin();
    for (size_t place = 0; place < state_.size(); ++place) {
      if (conflict != conflicted_.end() && *conflict == place)
        ++conflict;
      else
        visit(state_.nth(place)->second);
    }
    return {};
  }

 private:
  const StateMap& state_;
  std::span<const size_t> conflicted_;  // places, ascending
};

// The state with the conflicted keys as they were resolved; both are sorted.
StateMap replace(const StateMap& state, std::vector<ResolvedKey> resolved) {
  StateMap::sequence_type result;
  result.reserve(state.size() + resolved.size());
  auto next = resolved.begin();
  const auto take_resolved = [&] {
    if (next->event) result.emplace_back(std::move(next->key), *next->event);
    ++next;
  };
  for (const auto& [key, number] : state) {
    while (next != resolved.end() && next->key.view() < key.view())
      take_resolved();
    if (next != resolved.end() && same_key(next->key.view(), key.view()))
      take_resolved();
    else
      result.emplace_back(key, number);
  }
  while (next != resolved.end())
    take_resolved();
  StateMap map;
  map.adopt_sequence(boost::container::ordered_unique_range, std::move(result));
  return map;
}

}  // namespace

Result<std::vector<ResolvedKey>> resolve_conflicts(const RoomVersionRules& rules,
                                                   std::span<const ConflictedKey> conflicted,
                                                   const UnconflictedState& unconflicted,
                                                   Source& source) {
  if (conflicted.empty()) return std::vector<ResolvedKey>{};
  const size_t sets = conflicted.front().events.size();
  for (const ConflictedKey& conflict : conflicted) {
    if (conflict.events.size() != sets)
      return fail(ErrorCode::kInvalid, "conflicted keys of different numbers of state sets");
  }
  if (rules.state_resolution == StateResolution::kV1)
    return resolve_conflicts_v1(conflicted, unconflicted, source);
  return ResolutionV2(rules, conflicted, unconflicted, source).run();
}

Result<StateMap> resolve(const RoomVersionRules& rules, std::span<const StateMap> states,
                         Source& source) {
  if (states.empty()) return StateMap();
  RunMemory memory;
  const Conflicts conflicts = find_conflicts(states, memory.get());
  const Agreed agreed(states[0], conflicts.places);
  POLDER_TRY(auto resolved, resolve_conflicts(rules, conflicts.keys, agreed, source));
  return replace(states[0], std::move(resolved));
}

}  // namespace polder::dag
