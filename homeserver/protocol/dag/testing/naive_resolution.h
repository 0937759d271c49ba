// State resolution as the specification words it, without a thought for speed: what tests compare
// the real one with.
#pragma once

#include <algorithm>
#include <limits>
#include <set>
#include <span>
#include <vector>

#include "homeserver/protocol/dag/authorise.h"
#include "homeserver/protocol/dag/power_levels.h"
#include "homeserver/protocol/dag/testing/room.h"

namespace polder::dag {

// https://spec.matrix.org/v1.19/rooms/v2/#state-resolution and /rooms/v12/#state-resolution
class NaiveResolution {
 public:
  explicit NaiveResolution(const TestRoom& room)
      : room_(room), v2_1_(room.rules().state_resolution == events::StateResolution::kV2Point1) {}

  StateMap resolve(std::span<const StateMap> states) {
    split(states);
    Numbers full = conflicted_;
    merge(full, auth_difference(states));
    if (v2_1_) merge(full, subgraph());
    Numbers power;
    for (EventNumber number : full) {
      if (is_power_event(number)) power.insert(number);
    }
    power = enlarge(power, full);
    StateMap state = v2_1_ ? StateMap() : unconflicted_;
    replay(power_order(power), state);
    Numbers others;
    for (EventNumber number : full) {
      if (!power.contains(number)) others.insert(number);
    }
    replay(mainline_order(others, state), state);
    for (const auto& [key, number] : unconflicted_)
      state[key] = number;
    return state;
  }

 private:
  using Numbers = std::set<EventNumber>;

  static void merge(Numbers& into, const Numbers& from) { into.insert(from.begin(), from.end()); }

  void split(std::span<const StateMap> states) {
    for (const StateMap& state : states) {
      for (const auto& [key, number] : state) {
        bool everywhere = std::all_of(states.begin(), states.end(), [&](const StateMap& other) {
          auto found = other.find(key);
          return found != other.end() && found->second == number;
        });
        if (everywhere)
          unconflicted_[key] = number;
        else
          conflicted_.insert(number);
      }
    }
  }

  const Numbers& auth_chain(EventNumber number) const {
    auto known = chains_.find(number);
    if (known != chains_.end()) return known->second;
    Numbers chain;
    for (EventNumber auth : room_.auth_of(number)) {
      chain.insert(auth);
      merge(chain, auth_chain(auth));
    }
    return chains_[number] = std::move(chain);
  }

  Numbers auth_difference(std::span<const StateMap> states) const {
    std::vector<Numbers> chains;
    Numbers all;
    for (const StateMap& state : states) {
      Numbers chain;
      for (const auto& [key, number] : state)
        merge(chain, auth_chain(number));
      merge(all, chain);
      chains.push_back(std::move(chain));
    }
    std::erase_if(all, [&](EventNumber number) {
      return std::all_of(chains.begin(), chains.end(),
                         [&](const Numbers& chain) { return chain.contains(number); });
    });
    return all;
  }

  Numbers subgraph() const {
    Numbers between;
    for (EventNumber from : conflicted_) {
      Numbers reached = auth_chain(from);
      reached.insert(from);
      for (EventNumber number : reached) {
        Numbers below = auth_chain(number);
        below.insert(number);
        if (std::any_of(conflicted_.begin(), conflicted_.end(),
                        [&](EventNumber to) { return below.contains(to); }))
          between.insert(number);
      }
    }
    return between;
  }

  bool is_power_event(EventNumber number) const {
    const events::Event& event = *room_.get(number);
    if (event.is("m.room.power_levels") || event.is("m.room.join_rules")) return true;
    return event.is("m.room.member") && event.sender().view() != *event.state_key() &&
           (event.membership() == "leave" || event.membership() == "ban");
  }

  // Version 12 by the letter; version 2 without paths that leave the full conflicted set, as
  // state_resolution.cc explains.
  Numbers enlarge(Numbers power, const Numbers& full) const {
    if (v2_1_) {
      for (EventNumber number : Numbers(power)) {
        for (EventNumber auth : auth_chain(number)) {
          if (full.contains(auth)) power.insert(auth);
        }
      }
      return power;
    }
    for (size_t before = 0; before != power.size();) {
      before = power.size();
      for (EventNumber number : Numbers(power)) {
        for (EventNumber auth : room_.auth_of(number)) {
          if (full.contains(auth)) power.insert(auth);
        }
      }
    }
    return power;
  }

  EventNumber auth_of_type(EventNumber number, const char* type) const {
    for (EventNumber auth : room_.auth_of(number)) {
      if (room_.get(auth)->is_state(type, "")) return auth;
    }
    return 0;
  }

  PowerLevel sender_power(EventNumber number) const {
    EventNumber levels = auth_of_type(number, "m.room.power_levels");
    return PowerLevels(*room_.get(1), levels ? room_.get(levels).get() : nullptr)
        .user(room_.get(number)->sender().view());
  }

  std::vector<EventNumber> power_order(Numbers left) const {
    std::vector<EventNumber> order;
    while (!left.empty()) {
      EventNumber smallest = 0;
      for (EventNumber number : left) {
        const auto& auth = room_.auth_of(number);
        if (std::any_of(auth.begin(), auth.end(),
                        [&](EventNumber one) { return left.contains(one); }))
          continue;
        if (smallest == 0 || is_before(number, smallest)) smallest = number;
      }
      order.push_back(smallest);
      left.erase(smallest);
    }
    return order;
  }

  bool is_before(EventNumber x, EventNumber y) const {
    PowerLevel power_x = sender_power(x);
    PowerLevel power_y = sender_power(y);
    if (power_x != power_y) return power_x > power_y;
    return is_older(x, y);
  }

  bool is_older(EventNumber x, EventNumber y) const {
    const events::Event& a = *room_.get(x);
    const events::Event& b = *room_.get(y);
    if (a.origin_server_ts() != b.origin_server_ts())
      return a.origin_server_ts() < b.origin_server_ts();
    return a.id() < b.id();
  }

  std::vector<EventNumber> mainline_order(const Numbers& events, const StateMap& state) const {
    std::vector<EventNumber> mainline;
    auto top = state.find(events::StateKeyView{"m.room.power_levels", ""});
    for (EventNumber number = top == state.end() ? 0 : top->second; number != 0;
         number = auth_of_type(number, "m.room.power_levels"))
      mainline.push_back(number);
    auto position = [&](EventNumber number) {
      while ((number = auth_of_type(number, "m.room.power_levels")) != 0) {
        auto found = std::find(mainline.begin(), mainline.end(), number);
        if (found != mainline.end()) return found - mainline.begin();
      }
      return std::numeric_limits<std::ptrdiff_t>::max();
    };
    std::vector<EventNumber> order(events.begin(), events.end());
    std::sort(order.begin(), order.end(), [&](EventNumber x, EventNumber y) {
      auto position_x = position(x);
      auto position_y = position(y);
      return position_x != position_y ? position_x > position_y : is_older(x, y);
    });
    return order;
  }

  void replay(const std::vector<EventNumber>& order, StateMap& state) const {
    for (EventNumber number : order) {
      const events::Event& event = *room_.get(number);
      std::vector<StateKey> keys = auth_types_for(event);
      if (room_.rules().room_id_is_create_hash) keys.push_back({"m.room.create", ""});
      std::vector<events::EventPtr> needed;
      for (const StateKey& key : keys) {
        auto found = state.find(key);
        if (found != state.end() && !room_.rejected(found->second)) {
          needed.push_back(room_.get(found->second));
          continue;
        }
        if (room_.rules().room_id_is_create_hash && key.type == "m.room.create") {
          needed.push_back(room_.get(1));
          continue;
        }
        for (EventNumber auth : room_.auth_of(number)) {
          if (room_.get(auth)->is_state(key.type, key.key) && !room_.rejected(auth))
            needed.push_back(room_.get(auth));
        }
      }
      if (authorise(event, EventListState(needed)).ok()) room_.put(state, number);
    }
  }

  const TestRoom& room_;
  bool v2_1_;
  StateMap unconflicted_;
  Numbers conflicted_;
  mutable std::map<EventNumber, Numbers> chains_;
};

}  // namespace polder::dag
