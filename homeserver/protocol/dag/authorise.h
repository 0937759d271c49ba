// The authorisation rules of all room versions (https://spec.matrix.org/v1.19/rooms/), given a
// state. The rule on an event's own auth_events is in auth_events.h.
#pragma once

#include <span>

#include "homeserver/protocol/dag/rules.h"
#include "homeserver/protocol/dag/source.h"
#include "homeserver/protocol/events/event.h"

namespace polder::dag {

// The state that an event is checked against. Asked only for what a rule needs.
class AuthState {
 public:
  virtual ~AuthState() = default;
  // The event with that key, or null; it lives as long as the state does. An error is a failure to
  // read and ends the check.
  virtual Result<const events::Event*> find(events::StateKeyView key) const = 0;
};

// A state of few events: an event's auth events, or the stripped state of an invite. Keeps them.
class EventListState final : public AuthState {
 public:
  explicit EventListState(std::span<const events::EventPtr> events);
  Result<const events::Event*> find(events::StateKeyView key) const override;

 private:
  std::vector<events::EventPtr> events_;
};

// Whether the state allows the event; a create event needs none. Of room version 12 on, the state
// has the create event although no event names it. kForbidden if it is refused; the message names
// the rule by its number in the event's room version. Other errors come from the state.
//
// The signature of the server of `join_authorised_via_users_server` (rule 4.2.1) is checked with
// all other signatures (events/signing.h, required_signers).
Status authorise(const events::Event& event, const AuthState& state);

// The same for who asks often and wants no words.
Verdict judge(const events::Event& event, const AuthState& state);

}  // namespace polder::dag
