// State resolution: one state out of several (https://spec.matrix.org/v1.19/rooms/v1/ and
// https://spec.matrix.org/v1.19/rooms/v2/, "state resolution"; MSC4297 for version 12).
#pragma once

#include <boost/container/flat_map.hpp>
#include <optional>
#include <span>
#include <vector>

#include "homeserver/protocol/dag/source.h"
#include "homeserver/protocol/events/room_version.h"

namespace polder::dag {

// A key on which state sets differ, with each set's event (or 0), in the order of the sets.
// Borrowed for the call.
struct ConflictedKey {
  events::StateKeyView key;
  std::span<const EventNumber> events;
};

// What a key is in the resolved state; no event: the resolved state does not have the key.
struct ResolvedKey {
  StateKey key;
  std::optional<EventNumber> event;
  friend bool operator==(const ResolvedKey&, const ResolvedKey&) = default;
};

// Resolves what the state sets differ in; what they agree in stays. The answer has every conflicted
// key, and rarely more: keys that no state set has, but that an event of the auth difference
// brings back. Sorted by key. The order of the state sets does not matter. kInvalid if the keys
// have different numbers of sets; kTooLarge if the walked auth chains are; else the source's
// errors.
Result<std::vector<ResolvedKey>> resolve_conflicts(const events::RoomVersionRules& rules,
                                                   std::span<const ConflictedKey> conflicted,
                                                   const UnconflictedState& unconflicted,
                                                   Source& source);

// A whole state, sorted by key.
using StateMap = boost::container::flat_map<StateKey, EventNumber, StateKeyLess>;

// The same over whole states, for callers whose states are small.
Result<StateMap> resolve(const events::RoomVersionRules& rules, std::span<const StateMap> states,
                         Source& source);

}  // namespace polder::dag
