#include "homeserver/protocol/events/event.h"

#include <algorithm>

#include "homeserver/base/json/parse.h"
#include "homeserver/base/json/write.h"
#include "homeserver/protocol/events/signing.h"

namespace polder::events {
namespace {

constexpr size_t kMaxIdBytes = 255;                               // sender, room_id, event_id
constexpr size_t kMaxReceivedBytes = size_t{4} * kMaxEventBytes;  // with `unsigned` and spaces

Error bad(std::string_view key, std::string_view why) {
  return fail(ErrorCode::kInvalid, std::string("event: ").append(key).append(" ").append(why));
}

Result<std::string> take_string(const json::Object& object, std::string_view key) {
  const std::string* text = object.find_string(key);
  if (text == nullptr) return bad(key, "is missing or no string");
  return *text;
}

Result<std::string> take_id(const json::Object& object, std::string_view key) {
  POLDER_TRY(std::string text, take_string(object, key));
  if (text.size() > kMaxIdBytes) return bad(key, "is longer than 255 bytes");
  return text;
}

// "MUST NOT exceed 255 bytes": servers counted characters when the older versions came to be, and
// rooms of these have events that count on it.
Result<std::string> take_key(const json::Object& object, std::string_view key,
                             const RoomVersionRules& rules) {
  POLDER_TRY(std::string text, take_string(object, key));
  const auto is_first_byte = [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; };
  const auto size = rules.keys_count_bytes ? static_cast<std::ptrdiff_t>(text.size())
                                           : std::count_if(text.begin(), text.end(), is_first_byte);
  if (size > static_cast<std::ptrdiff_t>(kMaxKeyBytes)) return bad(key, "is too long");
  return text;
}

Result<int64_t> take_count(const json::Object& object, std::string_view key) {
  const auto number = object.find_int(key);
  if (!number) return bad(key, "is missing or no integer");
  if (*number < 0 || *number > json::kMaxCanonicalInt) return bad(key, "is out of range");
  return *number;
}

// Event ids, or (versions 1 and 2) pairs of an event id and its hashes.
Result<std::vector<EventId>> take_references(const json::Object& object, std::string_view key,
                                             size_t max, const RoomVersionRules& rules) {
  const json::Array* array = object.find_array(key);
  if (array == nullptr) return bad(key, "is missing or no array");
  if (array->size() > max) return bad(key, "has too many entries");
  std::vector<EventId> ids;
  ids.reserve(array->size());
  for (const json::Value& entry : *array) {
    const json::Value* value = &entry;
    if (rules.event_ids == EventIdFormat::kServerGiven) {
      const json::Array* pair = entry.as_array();
      if (pair == nullptr || pair->size() != 2 || (*pair)[1].as_object() == nullptr)
        return bad(key, "has an entry that is no pair");
      value = pair->data();
    }
    if (value->as_string() == nullptr) return bad(key, "has an entry that is no event id");
    POLDER_TRY(EventId id, EventId::parse(*value->as_string()));
    ids.push_back(std::move(id));
  }
  return ids;
}

Result<RoomId> take_room_id(const json::Object& object, const RoomVersionRules& rules,
                            bool is_create) {
  if (rules.room_id_is_create_hash && is_create) {
    // "If the event has a room_id, reject": what breaks the format never reaches the rules.
    if (object.contains("room_id")) return bad("room_id", "must not be in a create event");
    return RoomId::trusted("!" + event_id_of(object, rules).str().substr(1));
  }
  POLDER_TRY(const std::string text, take_id(object, "room_id"));
  POLDER_TRY(RoomId id, RoomId::parse(text));
  if (rules.room_id_is_create_hash == id.server().has_value())
    return bad("room_id", "is not of its room version's form");
  return id;
}

// Its server has to sign the event, and is asked for its keys: it must be a server name.
Result<EventId> take_event_id(const json::Object& object) {
  POLDER_TRY(const std::string text, take_id(object, "event_id"));
  POLDER_TRY(EventId id, EventId::parse(text));
  if (!id.server() || !ServerName::parse(*id.server()).ok())
    return bad("event_id", "has no server name");
  return id;
}

// A string where it is the event's own; a redaction that was redacted has none.
Status check_redacts(const json::Object& object, std::string_view type,
                     const RoomVersionRules& rules) {
  if (type != "m.room.redaction" || rules.redaction_of_version_11) return {};
  const json::Value* redacts = object.find("redacts");
  if (redacts != nullptr && redacts->as_string() == nullptr) return bad("redacts", "is no string");
  return {};
}

}  // namespace

Result<EventPtr> Event::parse(std::string_view pdu, const RoomVersionRules& rules) {
  const json::ParseLimits limits{
      .numbers = rules.strict_canonical_json ? json::Numbers::kCanonical : json::Numbers::kAny,
      .max_bytes = kMaxReceivedBytes,
  };
  POLDER_TRY(json::Object object, json::parse_object(pdu, limits));
  return parse(std::move(object), rules);
}

Result<EventPtr> Event::parse(json::Object pdu, const RoomVersionRules& rules) {
  std::shared_ptr<Event> event(new Event());
  event->rules_ = &rules;
  pdu.erase("unsigned");
  pdu.erase("age_ts");  // a relic that no signature covers
  // An `event_id` stays where the format has none (from version 3 on): redaction keeps it, so hash
  // and signatures cover it, and without it the event would have another id here than elsewhere.
  if (rules.strict_canonical_json && !json::is_canonical(pdu))
    return fail(ErrorCode::kInvalid, "event: a number is not canonical");
  event->json_ = json::write(pdu);
  if (event->json_.size() > kMaxEventBytes)
    return fail(ErrorCode::kTooLarge, "event: is larger than 65536 bytes");

  POLDER_TRY(event->type_, take_key(pdu, "type", rules));
  POLDER_TRY(const std::string sender, take_id(pdu, "sender"));
  POLDER_TRY(event->sender_, UserId::parse(sender));
  if (pdu.contains("state_key")) {
    POLDER_TRY(event->state_key_, take_key(pdu, "state_key", rules));
  }
  const bool is_create = event->is_state("m.room.create", "");
  POLDER_TRY(event->room_id_, take_room_id(pdu, rules, is_create));
  POLDER_TRY(event->origin_server_ts_, take_count(pdu, "origin_server_ts"));
  POLDER_TRY(event->depth_, take_count(pdu, "depth"));
  POLDER_TRY(event->prev_events_, take_references(pdu, "prev_events", kMaxPrevEvents, rules));
  POLDER_TRY(event->auth_events_, take_references(pdu, "auth_events", kMaxAuthEvents, rules));
  if (pdu.find_object("content") == nullptr) return bad("content", "is missing or no object");
  if (pdu.find_object("hashes") == nullptr) return bad("hashes", "is missing or no object");
  if (pdu.find_object("signatures") == nullptr) return bad("signatures", "is missing or no object");
  POLDER_CHECK(check_redacts(pdu, event->type_, rules));
  if (rules.event_ids == EventIdFormat::kServerGiven) {
    POLDER_TRY(event->id_, take_event_id(pdu));
  } else {
    event->id_ = event_id_of(pdu, rules);
  }
  event->object_ = std::move(pdu);
  event->content_ = event->object_.find_object("content");
  if (event->type_ == "m.room.member") {
    const std::string* membership = event->content_->find_string("membership");
    if (membership != nullptr) event->membership_ = *membership;
  }
  return EventPtr(std::move(event));
}

std::optional<EventId> Event::redacts() const {
  if (type_ != "m.room.redaction") return std::nullopt;
  const std::string* text = rules_->redaction_of_version_11 ? content().find_string("redacts")
                                                            : object_.find_string("redacts");
  const auto id =
      text != nullptr ? EventId::parse(*text) : Result<EventId>(fail(ErrorCode::kMissing, ""));
  return id.ok() ? std::optional(*id) : std::nullopt;
}

json::Object make_pdu(const EventDraft& draft, const RoomVersionRules& rules,
                      std::string_view opaque_id) {
  const bool is_create = draft.type == "m.room.create" && draft.state_key == "";
  const auto references = [&](const std::vector<EventId>& ids) {
    json::Array array;
    for (const EventId& id : ids) {
      if (rules.event_ids == EventIdFormat::kServerGiven) {
        array.push_back(json::Array{id.str(), json::Object()});
      } else {
        array.push_back(id.str());
      }
    }
    return array;
  };
  json::Object pdu{{"type", draft.type},
                   {"sender", draft.sender.str()},
                   {"content", draft.content},
                   {"prev_events", references(draft.prev_events)},
                   {"auth_events", references(draft.auth_events)},
                   {"depth", draft.depth},
                   {"origin_server_ts", draft.origin_server_ts}};
  if (!(rules.room_id_is_create_hash && is_create)) pdu.set("room_id", draft.room_id.str());
  if (draft.state_key) pdu.set("state_key", *draft.state_key);
  if (draft.redacts) {
    if (rules.redaction_of_version_11) {
      pdu.find("content")->as_object()->set("redacts", draft.redacts->str());
    } else {
      pdu.set("redacts", draft.redacts->str());
    }
  }
  if (rules.event_ids == EventIdFormat::kServerGiven) {
    pdu.set("event_id",
            std::string("$").append(opaque_id).append(":").append(draft.sender.server()));
  }
  if (!rules.redaction_of_version_11) pdu.set("origin", draft.sender.server());
  return pdu;
}

}  // namespace polder::events
