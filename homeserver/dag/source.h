// What the rules know of a room: its numbered events, and the state around a conflict. Whoever
// holds events implements this; the rules themselves do no I/O.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "homeserver/events/event.h"

namespace polder::dag {

// An event's number within its room; 0 is no event. Its auth events have smaller numbers: a room
// numbers an event only after the events that authorise it.
using EventNumber = uint64_t;

// How many events one walk over auth chains may visit before it gives up with kTooLarge.
inline constexpr size_t kMaxWalkedEvents = size_t{1} << 22;

// What of an event is addressed by state, with its own memory.
struct StateKey {
  std::string type;
  std::string key;

  events::StateKeyView view() const { return {type, key}; }
  friend auto operator<=>(const StateKey&, const StateKey&) = default;
};

// Orders keys and views of keys alike.
struct StateKeyLess {
  using is_transparent = void;
  static events::StateKeyView view(const StateKey& key) { return key.view(); }
  static events::StateKeyView view(events::StateKeyView key) { return key; }
  template <class A, class B>
  bool operator()(const A& a, const B& b) const {
    return view(a) < view(b);
  }
};

// The part of a resolution's state sets on which all of them agree.
class UnconflictedState {
 public:
  virtual ~UnconflictedState() = default;
  // Nothing for keys that no state set has, and for conflicted ones.
  virtual Result<std::optional<EventNumber>> find(events::StateKeyView key) const = 0;
  // Every event, in any order. Only Source::auth_difference() asks, and not when it is overridden.
  virtual Status each(const std::function<void(EventNumber)>& visit) const = 0;
};

// State sets as the auth difference sees them.
struct StateSets {
  std::vector<std::vector<EventNumber>> conflicted;  // of each set, its events of conflicted keys
  const UnconflictedState& unconflicted;             // borrowed for the call
};

// The events of one room. Synchronous; may read the disk, so a resolution runs where that is
// allowed. One thread at a time. Every error ends the run and is handed to its caller.
class Source {
 public:
  virtual ~Source() = default;

  virtual Result<events::EventPtr> event(EventNumber number) = 0;  // kNotFound if there is none
  virtual Result<std::optional<EventNumber>> number_of(const EventId& id) = 0;
  // Appends the numbers of the event's auth events. An event all of whose auth events are not known
  // has no number; from room version 12 on the create event is not among them.
  virtual Status auth_events(EventNumber number, std::vector<EventNumber>& out) = 0;
  // True if the event was rejected by the checks on receipt of a PDU; soft failure does not count.
  virtual Result<bool> is_rejected(EventNumber number) = 0;

  // The events that are in the full auth chain of some of the state sets but not of all
  // (https://spec.matrix.org/v1.19/rooms/v2/#definitions, "auth difference"); ascending. An index
  // over auth chains may override it; this one walks from the newest event down and stops where
  // all chains have joined.
  virtual Result<std::vector<EventNumber>> auth_difference(const StateSets& sets);

  // The events on paths along auth events between any two of the given ones, ends included
  // (https://spec.matrix.org/v1.19/rooms/v12/#definitions, "conflicted state subgraph"); ascending.
  virtual Result<std::vector<EventNumber>> conflicted_subgraph(
      std::span<const EventNumber> conflicted);
};

}  // namespace polder::dag
