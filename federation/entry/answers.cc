#include "federation/entry/answers.h"

#include <map>
#include <set>

#include "homeserver/protocol/dag/authorise.h"
#include "homeserver/protocol/dag/power_levels.h"
#include "homeserver/protocol/events/signing.h"

namespace polder::entry {
namespace {

Error bad(std::string what) {
  return fail(ErrorCode::kInvalid, "answer to the join: " + std::move(what));
}

Result<events::EventPtr> find_create(const events::Event& join, const rooms::ImportedState& state) {
  events::EventPtr create;
  std::set<events::StateKeyView> keys;
  for (const events::EventPtr& event : state.state) {
    if (!event->is_state()) return bad("an event of the state is none");
    if (!keys.insert({event->type(), *event->state_key()}).second)
      return bad("the state has two events of one key");
    if (event->is_state("m.room.create", "")) create = event;
  }
  if (!create) return bad("the state has no create event");
  const std::string* version = create->content().find_string("room_version");
  const events::RoomVersionRules& rules = join.rules();
  if ((version != nullptr ? *version : "1") != rules.id)
    return bad("the create event is of another version");
  if (rules.room_id_is_create_hash && create->id() != dag::create_event_id(join.room_id()))
    return bad("the create event is not the one that the room id names");
  for (const events::EventPtr& event : state.auth_chain) {
    if (event->is("m.room.create") && event->id() != create->id())
      return bad("there are two create events");
  }
  const Status allowed = dag::authorise(*create, dag::EventListState({}));
  if (!allowed.ok()) return bad(allowed.error().message);
  return create;
}

}  // namespace

Result<events::EventPtr> signed_join(const events::Event& sent, const std::string& answered) {
  POLDER_TRY(auto event, events::Event::parse(answered, sent.rules()));
  if (events::signed_bytes_of_json(event->object()) != events::signed_bytes_of_json(sent.object()))
    return bad("the event was changed");
  return event;
}

Result<events::EventPtr> signed_invite(const events::Event& sent, const events::Event& answered,
                                       const ServerName& invited) {
  const json::Object* given = answered.object().find_object("signatures");
  const json::Object* added = given != nullptr ? given->find_object(invited.view()) : nullptr;
  if (added == nullptr)
    return fail(ErrorCode::kBadSignature, "the invited server did not sign the invite");
  json::Object pdu = sent.object();
  pdu.find("signatures")->as_object()->set(invited.str(), *added);
  return events::Event::parse(std::move(pdu), sent.rules());
}

Status check_joined_state(const events::Event& join, const rooms::ImportedState& state) {
  POLDER_TRY(const auto create, find_create(join, state));
  std::map<EventId, events::EventPtr> known;
  for (const auto* list : {&state.state, &state.auth_chain}) {
    for (const events::EventPtr& event : *list)
      known.emplace(event->id(), event);
  }
  std::vector<events::EventPtr> auth_events;
  for (const EventId& id : join.auth_events()) {
    const auto found = known.find(id);
    if (found == known.end()) return bad("an auth event of the join is missing");
    auth_events.push_back(found->second);
  }
  if (join.rules().room_id_is_create_hash) auth_events.push_back(create);
  return dag::authorise(join, dag::EventListState(auth_events));
}

}  // namespace polder::entry
