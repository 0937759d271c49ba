#include "homeserver/dag/state_resolution.h"

#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>

#include "homeserver/dag/auth_chains.h"
#include "homeserver/dag/authorise.h"
#include "homeserver/dag/event_cache.h"
#include "homeserver/dag/ordering.h"
#include "homeserver/dag/power_levels.h"
#include "homeserver/dag/resolved_state.h"
#include "homeserver/dag/state_resolution_v1.h"

namespace polder::dag {

using events::Event;
using events::RoomVersionRules;
using events::StateResolution;

namespace {

using Numbers = std::vector<EventNumber>;  // sorted, without duplicates, unless said otherwise

void sort_unique(Numbers& numbers) {
  std::sort(numbers.begin(), numbers.end());
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
}

// What one event of a replay is checked against: the state so far and, for keys that it lacks, the
// event's own auth events. Rejected events do not count in either.
class ReplayState final : public AuthState {
 public:
  ReplayState(EventCache& cache, const ResolvedState& resolved, EventNumber event)
      : cache_(cache), resolved_(resolved), event_(event) {}

  Result<const Event*> find(events::StateKeyView key) const override {
    POLDER_TRY(auto number, resolved_.find(key));
    if (number) {
      POLDER_TRY(const Event* event, cache_.accepted_event(*number));
      if (event) return event;
    }
    POLDER_TRY(number, from_auth_events(key));
    if (!number) return static_cast<const Event*>(nullptr);
    return cache_.accepted_event(*number);
  }

 private:
  // From version 12 on, the room id stands for the create event among the auth events.
  Result<std::optional<EventNumber>> from_auth_events(events::StateKeyView key) const {
    if (key == events::StateKeyView{"m.room.create", ""}) return cache_.create_event(event_);
    return cache_.auth_event(event_, key);
  }

  EventCache& cache_;
  const ResolvedState& resolved_;
  EventNumber event_;
};

// State resolution of room version 2 and later.
class ResolutionV2 {
 public:
  ResolutionV2(const RoomVersionRules& rules, const UnconflictedState& unconflicted, Source& source)
      : is_v2_1_(rules.state_resolution == StateResolution::kV2Point1),
        unconflicted_(unconflicted),
        cache_(source),
        resolved_(cache_, is_v2_1_ ? nullptr : &unconflicted) {}

  Result<std::vector<ResolvedKey>> run(std::span<const ConflictedKey> conflicted);

 private:
  Result<Numbers> full_conflicted_set(std::span<const ConflictedKey> conflicted);
  Result<bool> is_power_event(EventNumber number);
  Result<Numbers> select_power_events(const Numbers& full_set);
  Status replay(const Numbers& order);
  Result<std::vector<ResolvedKey>> answer(std::span<const ConflictedKey> conflicted) const;

  bool is_v2_1_;
  const UnconflictedState& unconflicted_;
  EventCache cache_;
  ResolvedState resolved_;
};

// "Full conflicted set": the conflicted events, the auth difference and, from version 12 on, the
// conflicted state subgraph.
Result<Numbers> ResolutionV2::full_conflicted_set(std::span<const ConflictedKey> conflicted) {
  StateSets sets{std::vector<Numbers>(conflicted.front().events.size()), unconflicted_};
  Numbers full_set;
  for (const ConflictedKey& conflict : conflicted) {
    for (size_t i = 0; i < conflict.events.size(); ++i) {
      if (!conflict.events[i]) continue;
      sets.conflicted[i].push_back(*conflict.events[i]);
      full_set.push_back(*conflict.events[i]);
    }
  }
  sort_unique(full_set);
  POLDER_TRY(Numbers difference, auth_difference(sets, cache_.source()));
  if (is_v2_1_) {
    // It has the conflicted events themselves.
    POLDER_TRY(full_set, conflicted_subgraph(full_set, cache_.source()));
  }
  Numbers conflict_set = std::exchange(full_set, {});
  std::set_union(conflict_set.begin(), conflict_set.end(), difference.begin(), difference.end(),
                 std::back_inserter(full_set));
  for (EventNumber number : full_set) {
    POLDER_TRY(const Event* event, cache_.event(number));
    if (!event->is_state()) return fail(ErrorCode::kCorrupt, "an auth event has no state key");
  }
  return full_set;
}

// "Power event": the room's power levels or join rules, or a membership that one user takes from
// another.
Result<bool> ResolutionV2::is_power_event(EventNumber number) {
  POLDER_TRY(const Event* event, cache_.event(number));
  if (event->is("m.room.member"))
    return (event->membership() == "leave" || event->membership() == "ban") &&
           event->sender().view() != *event->state_key();
  return event->is_state("m.room.power_levels", "") || event->is_state("m.room.join_rules", "");
}

// Step 1: the power events, and what of the full conflicted set they rest on. As other servers do,
// and unlike the letter of version 2, paths that leave the set are not followed; in version 12 the
// subgraph leaves no such paths.
Result<Numbers> ResolutionV2::select_power_events(const Numbers& full_set) {
  std::vector<bool> selected(full_set.size());
  std::vector<size_t> waiting;
  for (size_t i = 0; i < full_set.size(); ++i) {
    POLDER_TRY(bool is_power, is_power_event(full_set[i]));
    if (!is_power) continue;
    selected[i] = true;
    waiting.push_back(i);
  }
  while (!waiting.empty()) {
    size_t index = waiting.back();
    waiting.pop_back();
    POLDER_TRY(auto auth_events, cache_.auth_events(full_set[index]));
    for (EventNumber auth : auth_events) {
      auto position = std::lower_bound(full_set.begin(), full_set.end(), auth);
      if (position == full_set.end() || *position != auth) continue;
      auto found = static_cast<size_t>(position - full_set.begin());
      if (selected[found]) continue;
      selected[found] = true;
      waiting.push_back(found);
    }
  }
  Numbers power_events;
  for (size_t i = 0; i < full_set.size(); ++i) {
    if (selected[i]) power_events.push_back(full_set[i]);
  }
  return power_events;
}

// "Iterative auth checks": what the state allows becomes part of it.
Status ResolutionV2::replay(const Numbers& order) {
  for (EventNumber number : order) {
    POLDER_TRY(const Event* event, cache_.event(number));
    Status allowed = authorise(*event, ReplayState(cache_, resolved_, number));
    if (allowed.ok()) {
      POLDER_CHECK(resolved_.set(number));
    } else if (allowed.error().code != ErrorCode::kForbidden) {
      return allowed;
    }
  }
  return {};
}

// Step 5: what did not conflict stays as it was, whatever was replayed on its keys.
Result<std::vector<ResolvedKey>> ResolutionV2::answer(
    std::span<const ConflictedKey> conflicted) const {
  std::vector<ResolvedKey> resolved;
  resolved.reserve(conflicted.size());
  size_t set = 0;
  for (const ConflictedKey& conflict : conflicted) {
    resolved.push_back({conflict.key, resolved_.find_set(conflict.key.view())});
    if (resolved.back().event) ++set;
  }
  auto by_key = [](const ResolvedKey& a, const ResolvedKey& b) { return a.key < b.key; };
  if (!std::is_sorted(resolved.begin(), resolved.end(), by_key))
    std::sort(resolved.begin(), resolved.end(), by_key);
  if (set == resolved_.all_set().size()) return resolved;
  std::vector<ResolvedKey> further;
  for (const auto& [view, number] : resolved_.all_set()) {
    ResolvedKey one{{std::string(view.type), std::string(view.key)}, number};
    if (std::binary_search(resolved.begin(), resolved.end(), one, by_key)) continue;
    POLDER_TRY(auto agreed, unconflicted_.find(view));
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
Result<std::vector<ResolvedKey>> ResolutionV2::run(std::span<const ConflictedKey> conflicted) {
  POLDER_TRY(Numbers full_set, full_conflicted_set(conflicted));
  resolved_.reserve(full_set.size());
  POLDER_TRY(Numbers power_events, select_power_events(full_set));
  POLDER_TRY(Numbers order, power_ordering(power_events, cache_));
  POLDER_CHECK(replay(order));

  Numbers others;
  std::set_difference(full_set.begin(), full_set.end(), power_events.begin(), power_events.end(),
                      std::back_inserter(others));
  POLDER_TRY(auto power_levels, resolved_.find({"m.room.power_levels", ""}));
  POLDER_TRY(order, mainline_ordering(others, power_levels, cache_));
  POLDER_CHECK(replay(order));
  return answer(conflicted);
}

bool same_key(events::StateKeyView a, events::StateKeyView b) {
  return a.key == b.key && a.type == b.type;
}

// What whole states agree on: one of them, without the conflicted keys (sorted).
class Agreed final : public UnconflictedState {
 public:
  Agreed(const StateMap& state, std::span<const ConflictedKey> conflicted)
      : state_(state), conflicted_(conflicted) {}

  Result<std::optional<EventNumber>> find(events::StateKeyView key) const override {
    auto conflict = std::lower_bound(conflicted_.begin(), conflicted_.end(), key,
                                     [](const ConflictedKey& one, events::StateKeyView other) {
                                       return one.key.view() < other;
                                     });
    const bool is_conflicted = conflict != conflicted_.end() && same_key(conflict->key.view(), key);
    auto position = is_conflicted ? state_.end() : state_.find(key);
    if (position == state_.end()) return std::optional<EventNumber>();
    return std::optional(position->second);
  }
  Status each(const std::function<void(EventNumber)>& visit) const override {
    auto conflict = conflicted_.begin();
    for (const auto& [key, number] : state_) {
      while (conflict != conflicted_.end() && conflict->key < key)
        ++conflict;
      if (conflict == conflicted_.end() || !same_key(conflict->key.view(), key.view()))
        visit(number);
    }
    return {};
  }

 private:
  const StateMap& state_;
  std::span<const ConflictedKey> conflicted_;
};

// A key on which one of the states differs from the first.
struct StateDifference {
  events::StateKeyView key;
  size_t state;
  std::optional<EventNumber> first;
  std::optional<EventNumber> other;
};

void compare(const StateMap& first, const StateMap& other, size_t state,
             std::vector<StateDifference>& out) {
  auto a = first.begin();
  auto b = other.begin();
  while (a != first.end() || b != other.end()) {
    const bool has_both = a != first.end() && b != other.end();
    if (has_both && same_key(a->first.view(), b->first.view())) {
      if (a->second != b->second) out.push_back({a->first.view(), state, a->second, b->second});
      ++a;
      ++b;
    } else if (b == other.end() || (has_both && a->first < b->first)) {
      out.push_back({a->first.view(), state, a->second, std::nullopt});
      ++a;
    } else {
      out.push_back({b->first.view(), state, std::nullopt, b->second});
      ++b;
    }
  }
}

// Sorted by key.
std::vector<ConflictedKey> find_conflicts(std::span<const StateMap> states) {
  std::vector<StateDifference> differences;
  for (size_t i = 1; i < states.size(); ++i)
    compare(states[0], states[i], i, differences);
  if (states.size() > 2) {
    std::sort(differences.begin(), differences.end(),
              [](const auto& a, const auto& b) { return a.key < b.key; });
  }
  std::vector<ConflictedKey> conflicted;
  for (const StateDifference& one : differences) {
    if (conflicted.empty() || !same_key(conflicted.back().key.view(), one.key)) {
      conflicted.push_back({{std::string(one.key.type), std::string(one.key.key)}, {}});
      conflicted.back().events.assign(states.size(), one.first);
    }
    conflicted.back().events[one.state] = one.other;
  }
  return conflicted;
}

// The state with the conflicted keys as they were resolved; both are sorted.
StateMap replace(const StateMap& state, std::vector<ResolvedKey> resolved) {
  StateMap result;
  auto next = resolved.begin();
  const auto take_resolved = [&] {
    if (next->event) result.emplace_hint(result.end(), std::move(next->key), *next->event);
    ++next;
  };
  for (const auto& [key, number] : state) {
    while (next != resolved.end() && next->key < key)
      take_resolved();
    if (next != resolved.end() && same_key(next->key.view(), key.view()))
      take_resolved();
    else
      result.emplace_hint(result.end(), key, number);
  }
  while (next != resolved.end())
    take_resolved();
  return result;
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
  return ResolutionV2(rules, unconflicted, source).run(conflicted);
}

Result<StateMap> resolve(const RoomVersionRules& rules, std::span<const StateMap> states,
                         Source& source) {
  if (states.empty()) return StateMap();
  const std::vector<ConflictedKey> conflicted = find_conflicts(states);
  POLDER_TRY(auto resolved,
             resolve_conflicts(rules, conflicted, Agreed(states[0], conflicted), source));
  return replace(states[0], std::move(resolved));
}

}  // namespace polder::dag
