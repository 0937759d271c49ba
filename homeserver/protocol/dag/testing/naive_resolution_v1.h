// State resolution of room version 1 as the specification words it, for tests to compare with.
#pragma once

#include <algorithm>
#include <map>
#include <set>
#include <span>
#include <vector>

#include "homeserver/base/crypto/hash.h"
#include "homeserver/protocol/dag/authorise.h"
#include "homeserver/protocol/dag/testing/room.h"

namespace polder::dag {

// https://spec.matrix.org/v1.19/rooms/v1/#state-resolution
class NaiveResolutionV1 {
 public:
  explicit NaiveResolutionV1(const TestRoom& room) : room_(room) {}

  StateMap resolve(std::span<const StateMap> states) {
    std::map<StateKey, std::set<EventNumber>> all;
    for (const StateMap& state : states) {
      for (const auto& [key, number] : state)
        all[key].insert(number);
    }
    // "Start by setting R to the union of the states to be resolved, excluding any conflicting
    // events": those of a key for which there are several.
    StateMap result;
    std::map<StateKey, std::vector<EventNumber>> conflicts;
    for (const auto& [key, numbers] : all) {
      if (numbers.size() == 1)
        result[key] = *numbers.begin();
      else
        conflicts[key] = sorted(numbers);
    }
    for (const char* type : {"m.room.power_levels", "m.room.join_rules", "m.room.member"}) {
      const StateMap before = result;  // members do not depend on which of them comes first
      for (const auto& [key, numbers] : conflicts) {
        if (key.type == type) result[key] = last_allowed_in_turn(numbers, key, before);
      }
    }
    const StateMap before = result;
    for (const auto& [key, numbers] : conflicts) {
      if (!result.contains(key)) result[key] = highest_allowed(numbers, before);
    }
    return result;
  }

 private:
  // "by ascending depth then descending sha1(event_id)"
  std::vector<EventNumber> sorted(const std::set<EventNumber>& numbers) const {
    std::vector<EventNumber> list(numbers.begin(), numbers.end());
    std::sort(list.begin(), list.end(), [this](EventNumber x, EventNumber y) {
      const events::Event& a = *room_.get(x);
      const events::Event& b = *room_.get(y);
      if (a.depth() != b.depth()) return a.depth() < b.depth();
      return crypto::sha1(a.id().view()) > crypto::sha1(b.id().view());
    });
    return list;
  }

  bool allowed(EventNumber number, const StateMap& state) const {
    std::vector<events::EventPtr> events;
    for (const auto& [key, one] : state)
      events.push_back(room_.get(one));
    return authorise(*room_.get(number), EventListState(events)).ok();
  }

  // "Add the first event in the list to R. For each subsequent event [...] if the event would be
  // allowed, then update R [...]. If it would not be allowed, stop".
  EventNumber last_allowed_in_turn(const std::vector<EventNumber>& list, const StateKey& key,
                                   StateMap state) const {
    state[key] = list.front();
    for (const EventNumber number : list) {
      if (number == list.front()) continue;
      if (!allowed(number, state)) break;
      state[key] = number;
    }
    return state[key];
  }

  // "the event with the highest depth and lowest sha1(event_id) that passes authentication in R";
  // the specification does not say what holds if none does.
  EventNumber highest_allowed(const std::vector<EventNumber>& list, const StateMap& state) const {
    const auto found = std::find_if(list.rbegin(), list.rend(),
                                    [&](EventNumber number) { return allowed(number, state); });
    return found == list.rend() ? list.front() : *found;
  }

  const TestRoom& room_;
};

}  // namespace polder::dag
