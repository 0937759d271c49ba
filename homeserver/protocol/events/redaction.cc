#include <algorithm>
#include <array>
#include <span>

#include "homeserver/base/json/write.h"
#include "homeserver/protocol/events/signing.h"

namespace polder::events {
namespace {

using Keys = std::span<const std::string_view>;

constexpr std::array<std::string_view, 12> kTopLevel = {
    "event_id", "type",       "room_id", "sender",      "state_key",   "content",
    "hashes",   "signatures", "depth",   "prev_events", "auth_events", "origin_server_ts"};
constexpr std::array<std::string_view, 3> kTopLevelBefore11 = {"prev_state", "origin",
                                                               "membership"};
constexpr std::array<std::string_view, 8> kPowerLevels = {
    "ban", "events", "events_default", "kick", "redact", "state_default", "users", "users_default"};

void keep(const json::Object& from, Keys keys, json::Object& to) {
  for (const std::string_view key : keys) {
    if (const json::Value* value = from.find(key)) to.set(std::string(key), *value);
  }
}

void keep(const json::Object& from, std::string_view key, json::Object& to) {
  keep(from, Keys(&key, 1), to);
}

void keep_member(const json::Object& content, const RoomVersionRules& rules, json::Object& kept) {
  keep(content, "membership", kept);
  if (rules.redaction_keeps_join_authorised)
    keep(content, "join_authorised_via_users_server", kept);
  // An invite without `signed` leaves an empty object, because event ids are hashes of this and the
  // other implementations have it so.
  const json::Object* invite = content.find_object("third_party_invite");
  if (rules.redaction_of_version_11 && invite != nullptr) {
    json::Object signed_only;
    keep(*invite, "signed", signed_only);
    kept.set("third_party_invite", std::move(signed_only));
  }
}

json::Object redact_content(std::string_view type, const json::Object& content,
                            const RoomVersionRules& rules) {
  json::Object kept;
  if (type == "m.room.member") {
    keep_member(content, rules, kept);
  } else if (type == "m.room.create") {
    if (rules.redaction_of_version_11) return content;
    keep(content, "creator", kept);
  } else if (type == "m.room.join_rules") {
    keep(content, "join_rule", kept);
    if (rules.redaction_keeps_join_rule_allow) keep(content, "allow", kept);
  } else if (type == "m.room.power_levels") {
    keep(content, kPowerLevels, kept);
    if (rules.redaction_of_version_11) keep(content, "invite", kept);
  } else if (type == "m.room.history_visibility") {
    keep(content, "history_visibility", kept);
  } else if (type == "m.room.aliases" && rules.redaction_keeps_aliases) {
    keep(content, "aliases", kept);
  } else if (type == "m.room.redaction" && rules.redaction_of_version_11) {
    keep(content, "redacts", kept);
  }
  return kept;
}

bool is_kept(std::string_view key, const RoomVersionRules& rules) {
  return std::ranges::find(kTopLevel, key) != kTopLevel.end() ||
         (!rules.redaction_of_version_11 &&
          std::ranges::find(kTopLevelBefore11, key) != kTopLevelBefore11.end());
}

json::Object redact_content_of(const json::Object& pdu, const json::Object& content,
                               const RoomVersionRules& rules) {
  const std::string* type = pdu.find_string("type");
  return redact_content(type != nullptr ? *type : "", content, rules);
}

}  // namespace

json::Object redact(const json::Object& pdu, const RoomVersionRules& rules) {
  json::Object kept;
  for (const auto& [key, value] : pdu) {
    if (!is_kept(key, rules)) continue;
    const bool reduced = key == "content" && value.as_object() != nullptr;
    kept.set(key, reduced ? redact_content_of(pdu, *value.as_object(), rules) : value);
  }
  return kept;
}

// What redact() keeps but for `signatures`, written without that copy: every event that comes or
// goes is read this way at least twice.
std::string signed_bytes_of_event(const json::Object& pdu, const RoomVersionRules& rules) {
  std::string out;
  json::Writer writer(out);
  writer.begin_object();
  for (const auto& [key, value] : pdu) {
    if (key == "signatures" || !is_kept(key, rules)) continue;
    writer.key(key);
    const json::Object* content = key == "content" ? value.as_object() : nullptr;
    if (content != nullptr) {
      writer.value(redact_content_of(pdu, *content, rules));
    } else {
      writer.value(value);
    }
  }
  writer.end_object();
  return out;
}

Result<EventPtr> redacted(const Event& event) {
  return Event::parse(redact(event.object(), event.rules()), event.rules());
}

}  // namespace polder::events
