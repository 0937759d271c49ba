// An index over auth chains, and what state resolution asks of it.
//
// A room's state events are put on chains: an event follows the one of its auth events that has the
// same state key, if that is still the last of its chain; else it begins a chain. So whatever
// reaches an event of a chain reaches all those before it, and what an event reaches is one number
// for each chain, up to where it reaches (a watermark); a set of events that is closed in this way
// is a range of every chain. An event's links to other chains are stored as they are, those left
// out that follow from others, and never what follows from them: an event takes a row of at most as
// many links as it has auth events, whatever the room looks like (CVE-2024-31208 was to store what
// follows).
//
// Watermarks are found from the newest event down, so that each chain is looked at once, at its
// final watermark. A state set, or a set of conflicted events, costs at most one step for each of
// the events that have links and that its chains reach, and as a rule far fewer: what the index
// leaves out as implied is never looked at. What is answered costs one step an event. Nothing costs
// more than the room has events, for each state set.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "homeserver/protocol/dag/source.h"

namespace polder::dag {

// How many steps one question may take before it ends with kTooLarge.
inline constexpr size_t kMaxChainSteps = size_t{1} << 24;
// How far back on its chain a new event looks for links that imply its own; what it does not find
// is stored once more.
inline constexpr size_t kMaxImplyingSteps = 16;

// What a resolution's state sets are to the auth difference.
struct StateSets {
  std::vector<std::vector<EventNumber>> conflicted;  // of each set, its events of conflicted keys
  const UnconflictedState& unconflicted;             // borrowed for the call
};

// The events that are in the full auth chain of some of the state sets but not of all
// (https://spec.matrix.org/v1.19/rooms/v2/#definitions, "auth difference"); ascending.
Result<std::vector<EventNumber>> auth_difference(const StateSets& sets, ChainIndex& index);

// The events on paths along auth events between any two of the given ones, ends included
// (https://spec.matrix.org/v1.19/rooms/v12/#definitions, "conflicted state subgraph"); ascending.
Result<std::vector<EventNumber>> conflicted_subgraph(std::span<const EventNumber> conflicted,
                                                     ChainIndex& index);

// A place with its own memory.
struct NewChainPlace {
  EventNumber chain = 0;
  EventNumber before = 0;
  EventNumber linked = 0;
  std::vector<ChainLink> links;

  ChainPlace view() const { return {chain, before, linked, links}; }
};

// The place of a new event, whose auth events are in the index. `before` is the one that it
// follows, or 0 to begin a chain.
Result<NewChainPlace> choose_chain_place(EventNumber number, EventNumber before,
                                         std::span<const EventNumber> auth_events,
                                         ChainIndex& index);

}  // namespace polder::dag
