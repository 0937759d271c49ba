// What an event says of another: that it relates to it, or redacts it. Pure but for the view.
#pragma once

#include <optional>
#include <string>

#include "homeserver/rooms/model/event_thread.h"
#include "homeserver/rooms/turns/room.h"
#include "homeserver/rooms/turns/staged.h"

namespace polder::rooms {

// The rows that follow from what an accepted event relates to, if anything.
Status write_relation(stores::Names& names, const Room& room, const kv::Snapshot& snapshot,
                      const HeldEvent& held, kv::PositionSlot slot, Staged& staged);

// https://spec.matrix.org/v1.19/rooms/v3/#handling-redactions: a redaction applies if the sender
// has the redact level, or if the domain of its sender is that of the sender of the event it
// redacts.
Result<bool> redaction_applies(const RoomView& view, const HeldEvent& redaction,
                               const events::Event& target);

// The rows that follow from what an accepted event redacts, if anything. Gives the redacted event,
// if that is here and the redaction applies to it; else 0.
Result<EventNumber> write_redaction(kv::Batch& batch, const RoomView& view,
                                    stores::EventPlace place, const HeldEvent& redaction);
// "If the server receives the redaction first": from the moment that its target comes, one that may
// applies, whatever else came. Whether one does.
Result<bool> apply_waiting_redactions(kv::Batch& batch, const Room& room, const RoomView& view,
                                      stores::EventPlace place, const events::Event& target);

}  // namespace polder::rooms
