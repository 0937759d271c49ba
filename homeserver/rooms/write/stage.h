// Staging: one event becomes one batch and the next in-memory state of its room. Synchronous; runs
// in a turn of the room's queue.
#pragma once

#include <span>
#include <vector>

#include "homeserver/protocol/push_rules/rule_set.h"
#include "homeserver/rooms/model/ports.h"
#include "homeserver/rooms/turns/room.h"
#include "homeserver/rooms/turns/staged.h"
#include "homeserver/rooms/write/step_sizes.h"
#include "storage/stores/rooms/partial_rows.h"

namespace polder::rooms {

enum class Origin : uint8_t {
  kLocal,     // built here; refusals, soft ones too, are errors, and nothing is stored
  kRemote,    // from another server, at the room's edge
  kBackfill,  // from another server, before what is known
};

struct StageInput {
  events::EventPtr event;
  Origin origin = Origin::kRemote;
  // The state before the event, where it was fetched; else it follows from the prev events.
  std::optional<stores::StateRoot> state_before = {};
  // With state_before, if that is not the whole: who may know the rest.
  std::optional<stores::PartialOrigin> partial = {};
  // The event becomes the only forward extremity: this server enters the room, and what it knew is
  // old.
  bool replaces_edge = false;
  // Of a server that has nobody in the room, what is rejected leaves nothing behind: it is an
  // error, kForbidden. So is what is soft-failed, unless a server that has somebody there builds on
  // it.
  bool drops_strangers = false;
  std::string built_on_by = {};
};

// The services that staging needs; all outlive it.
struct StageContext {
  stores::Names& names;
  Caches& caches;
  const ServerName& own_name;
  const std::vector<Contributor*>& contributors;
  const push_rules::RuleSet& default_push_rules;
  size_t changes_max = StepSizes().changes;  // of the current state, by one batch
};

// The checks performed on receipt of a PDU
// (https://spec.matrix.org/v1.19/server-server-api/#checks-performed-on-receipt-of-a-pdu), steps 4
// to 6, and the rows that follow from their outcome. The event is new to the room, its format,
// signatures and hash have been checked, and its prev events (or state_before) and auth events are
// there. For Origin::kLocal, kForbidden with the rule's refusal, or kInvalid if the rules let
// nobody send the event, whatever their power. On any error the room is as it was.
Result<Staged> stage(const StageContext& context, Room& room, const kv::Snapshot& snapshot,
                     StageInput input);

// Whether the room would take the event on its edge now; kForbidden names the rule that refuses.
Status check_by_current_state(const StageContext& context, const Room& room,
                              const kv::Snapshot& snapshot, const events::Event& event);

// Stores an event whose place in the DAG is not known, for others to refer to as auth event or as
// state. Its own auth events must be there; it is rejected if they do not allow it.
// Of a server that has nobody in the room such an event is kForbidden instead, and not stored.
Result<Staged> stage_outlier(const StageContext& context, Room& room, const kv::Snapshot& snapshot,
                             events::EventPtr event);

// Looks at a soft-failed event once more: it is accepted if the current state allows it now, with a
// new position. kForbidden if not; kExists if it is not soft-failed.
Result<Staged> stage_again(const StageContext& context, Room& room, const kv::Snapshot& snapshot,
                           EventNumber event);

// Stores a state made of another one and of events that are here already, for a later event to have
// before it. Ids that are not known, and what is rejected or no state, are left out.
Result<std::pair<stores::StateRoot, Staged>> stage_state(const StageContext& context, Room& room,
                                                         const kv::Snapshot& snapshot,
                                                         stores::StateRoot onto,
                                                         std::span<const EventId> state);

// Makes an update's new nodes part of the room: in the batch, and visible through the overlay.
void stage_nodes(Room& room, const stores::StateUpdate& update, Staged& staged);

// Stores a membership in a room that this server is not in (RoomWriter::store_outside_membership).
Result<Staged> stage_outside(const StageContext& context, const Room& room,
                             const kv::Snapshot& snapshot, events::EventPtr event,
                             std::string stripped_state);

// The state that several states resolve to, by the room version's algorithm; new nodes, if any, are
// numbered from last_node on.
Result<stores::StateUpdate> resolve_states(const Room& room, RoomView& view,
                                           std::vector<stores::StateRoot> roots,
                                           uint64_t last_node);
// The number under which Caches::resolutions has what the states resolve to: by the hashes of their
// content, in ascending order.
uint64_t resolution_key(std::span<const uint64_t> states);

}  // namespace polder::rooms
