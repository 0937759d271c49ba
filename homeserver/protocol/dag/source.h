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

#include "homeserver/protocol/events/event.h"

namespace polder::dag {

// An event's number within its room; 0 is no event. Its auth events have smaller numbers: a room
// numbers an event only after the events that authorise it.
using EventNumber = uint64_t;

// What of an event is addressed by state, with its own memory.
struct StateKey {
  std::string type;
  std::string key;

  static StateKey of(events::StateKeyView key) {
    return {std::string(key.type), std::string(key.key)};
  }
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
  // Every event, in any order.
  virtual Status each(const std::function<void(EventNumber)>& visit) const = 0;
};

// An event of a chain of the auth DAG (auth_chains.h).
struct ChainLink {
  EventNumber chain = 0;
  EventNumber event = 0;
  friend bool operator==(const ChainLink&, const ChainLink&) = default;
};

// Where a state event stands in the index over auth chains. A chain is named by its first event.
struct ChainPlace {
  EventNumber chain = 0;
  EventNumber before = 0;            // the event before it on the chain; 0 for the first
  EventNumber linked = 0;            // the nearest one before it that has links; 0 if none has
  std::span<const ChainLink> links;  // what it reaches besides, directly
};

// The index, one event at a time.
class ChainIndex {
 public:
  virtual ~ChainIndex() = default;
  // The place of a state event; it lives as long as the index does. kNotFound if there is none.
  virtual Result<ChainPlace> chain_place(EventNumber number) = 0;
};

// The events of one room. Synchronous; may read the disk, so a resolution runs where that is
// allowed. One thread at a time. Every error ends the run and is handed to its caller.
class Source : public ChainIndex {
 public:
  virtual Result<events::EventPtr> event(EventNumber number) = 0;  // kNotFound if there is none
  virtual Result<std::optional<EventNumber>> number_of(const EventId& id) = 0;
  // Appends the numbers of the event's auth events. An event all of whose auth events are not known
  // has no number; from room version 12 on the create event is not among them.
  virtual Status auth_events(EventNumber number, std::vector<EventNumber>& out) = 0;
  // True if the event was rejected by the checks on receipt of a PDU; soft failure does not count.
  virtual Result<bool> is_rejected(EventNumber number) = 0;
};

}  // namespace polder::dag
