#include "federation/client/membership.h"

#include "homeserver/protocol/events/room_version.h"
#include "homeserver/protocol/events/signing.h"

namespace polder::client {
namespace {

constexpr size_t kOpaqueIdLetters = 18;

// Event ids; in versions 1 and 2 each stands in a pair with hashes.
Result<std::vector<EventId>> read_references(const json::Object& event, std::string_view name,
                                             size_t max, const events::RoomVersionRules& rules) {
  const json::Array* list = event.find_array(name);
  if (list == nullptr || list->size() > max)
    return fail(ErrorCode::kInvalid, "template: bad " + std::string(name));
  std::vector<EventId> ids;
  for (const json::Value& item : *list) {
    const json::Value* id = &item;
    if (rules.event_ids == events::EventIdFormat::kServerGiven) {
      if (item.as_array() == nullptr || item.as_array()->empty())
        return fail(ErrorCode::kInvalid, "template: bad reference");
      id = &item.as_array()->front();
    }
    if (id->as_string() == nullptr) return fail(ErrorCode::kInvalid, "template: bad reference");
    POLDER_TRY(EventId parsed, EventId::parse(*id->as_string()));
    ids.push_back(std::move(parsed));
  }
  return ids;
}

// "The joining server MUST also verify that the type, room_id, sender, state_key and
// content.membership fields have the expected values."
// https://spec.matrix.org/v1.19/server-server-api/#joining-rooms
Status check_requested(const json::Object& event, const TemplateRequest& requested) {
  const json::Object* content = event.find_object("content");
  const auto says = [](const json::Object& object, std::string_view name, std::string_view value) {
    const std::string* text = object.find_string(name);
    return text != nullptr && *text == value;
  };
  if (content == nullptr || !says(event, "type", "m.room.member") ||
      !says(event, "room_id", requested.room.view()) ||
      !says(event, "sender", requested.user.view()) ||
      !says(event, "state_key", requested.user.view()) ||
      !says(*content, "membership", requested.membership)) {
    return fail(ErrorCode::kInvalid, "template: not of the membership that was asked for");
  }
  return {};
}

}  // namespace

Result<MembershipTemplate> read_template(const json::Object& answer,
                                         const TemplateRequest& requested) {
  const json::Object* event = answer.find_object("event");
  if (event == nullptr) return fail(ErrorCode::kInvalid, "template: no event");
  // Without a version, the room is of version 1 or 2, as its create event will tell.
  const std::string* version = answer.find_string("room_version");
  MembershipTemplate place;
  place.rules = events::find_room_version(version != nullptr ? *version : "1");
  if (place.rules == nullptr)
    return fail(ErrorCode::kUnsupported, "the room's version is not known here");
  POLDER_CHECK(check_requested(*event, requested));
  POLDER_TRY(place.prev_events,
             read_references(*event, "prev_events", events::kMaxPrevEvents, *place.rules));
  POLDER_TRY(place.auth_events,
             read_references(*event, "auth_events", events::kMaxAuthEvents, *place.rules));
  if (place.prev_events.empty()) return fail(ErrorCode::kInvalid, "template: no prev_events");
  const auto depth = event->find_int("depth");
  if (!depth || *depth < 1 || *depth > json::kMaxCanonicalInt)
    return fail(ErrorCode::kInvalid, "template: bad depth");
  place.depth = *depth;
  const std::string* authoriser =
      event->find_object("content")->find_string("join_authorised_via_users_server");
  if (authoriser != nullptr && place.rules->restricted_joins) {
    POLDER_TRY(place.authorised_by, UserId::parse(*authoriser));
  }
  return place;
}

Result<events::EventPtr> build_membership(const MembershipTemplate& place, MembershipEvent event,
                                          const ServerName& own_name, const crypto::SigningKey& key,
                                          Random& random) {
  if (event.user.server() != own_name.view())
    return fail(ErrorCode::kInvalid, "not a user of this server");
  event.content.set("membership", event.membership);
  event.content.erase("join_authorised_via_users_server");
  if (place.authorised_by && event.membership == "join") {
    // This server signs only for users of its own: it is not in the room, so this one is not.
    if (place.authorised_by->server() == own_name.view())
      return fail(ErrorCode::kInvalid, "template: the join is authorised by a user of this server");
    event.content.set("join_authorised_via_users_server", place.authorised_by->str());
  }
  events::EventDraft draft;
  draft.room_id = event.room;
  draft.sender = event.user;
  draft.type = "m.room.member";
  draft.state_key = event.user.str();
  draft.content = std::move(event.content);
  draft.prev_events = place.prev_events;
  draft.auth_events = place.auth_events;
  draft.depth = place.depth;
  draft.origin_server_ts = event.origin_server_ts;
  json::Object pdu = events::make_pdu(draft, *place.rules, random.letters(kOpaqueIdLetters));
  events::hash_and_sign(pdu, *place.rules, own_name, key);
  return events::Event::parse(std::move(pdu), *place.rules);
}

}  // namespace polder::client
