#include "homeserver/protocol/dag/power_levels.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string>

namespace polder::dag {

using events::Event;
using events::RoomVersionRules;

namespace {

constexpr int64_t kHighestLevel = std::numeric_limits<int64_t>::max() - 1;
constexpr int64_t kLowestLevel = -kHighestLevel;

// Defaults of https://spec.matrix.org/v1.19/client-server-api/#mroompower_levels
constexpr int64_t kDefaultStateLevel = 50;
constexpr int64_t kDefaultModerationLevel = 50;  // ban, kick, redact
constexpr int64_t kDefaultNotificationLevel = 50;
constexpr int64_t kCreatorLevelWithoutEvent = 100;

// A level as text: white space, one sign, digits, white space
// (https://spec.matrix.org/v1.19/rooms/v1/#mroompower_levels-events-accept-values-as-strings).
std::optional<int64_t> parse_text(std::string_view text) {
  constexpr std::string_view kSpace = " \t\n\r\f\v";
  size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return std::nullopt;
  text = text.substr(first, text.find_last_not_of(kSpace) - first + 1);
  bool negative = text.front() == '-';
  if (negative || text.front() == '+') text.remove_prefix(1);
  if (text.empty()) return std::nullopt;
  int64_t value = 0;
  for (char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    int digit = c - '0';
    value = value > (kHighestLevel - digit) / 10 ? kHighestLevel : value * 10 + digit;
  }
  return negative ? -value : value;
}

// A level with fraction or exponent, or one that 64 bits cannot hold
// (https://spec.matrix.org/v1.19/rooms/v1/#mroompower_levels-events-accept-values-as-floats).
std::optional<int64_t> parse_number(const std::string& text) {
  double value = std::trunc(std::strtod(text.c_str(), nullptr));
  if (!std::isfinite(value)) return std::nullopt;
  if (value >= 0x1p63) return kHighestLevel;
  if (value <= -0x1p63) return kLowestLevel;
  return static_cast<int64_t>(value);
}

}  // namespace

std::optional<int64_t> parse_power_level(const json::Value& value, const RoomVersionRules& rules) {
  if (const int64_t* integer = value.as_int())
    return std::clamp(*integer, kLowestLevel, kHighestLevel);
  if (rules.integer_power_levels) return std::nullopt;
  if (const std::string* text = value.as_string()) return parse_text(*text);
  if (const json::Number* number = value.as_number(); number && !rules.strict_canonical_json)
    return parse_number(number->text);
  return std::nullopt;
}

std::optional<int64_t> PowerLevels::level(std::string_view name) const {
  const json::Value* value = levels_ ? levels_->content().find(name) : nullptr;
  return value ? parse_power_level(*value, levels_->rules()) : std::nullopt;
}

std::optional<int64_t> PowerLevels::level_in(std::string_view map, std::string_view key) const {
  const json::Object* object = levels_ ? levels_->content().find_object(map) : nullptr;
  const json::Value* value = object ? object->find(key) : nullptr;
  return value ? parse_power_level(*value, levels_->rules()) : std::nullopt;
}

PowerLevel PowerLevels::user(std::string_view user_id) const {
  if (is_privileged_creator(user_id)) return PowerLevel::infinite();
  if (!levels_) return user_id == room_creator(create_) ? kCreatorLevelWithoutEvent : 0;
  if (auto own = level_in("users", user_id)) return *own;
  return level("users_default").value_or(0);
}

// The same without the event: that state_default was 0 then is long out of date
// (https://github.com/matrix-org/matrix-spec/issues/1479).
PowerLevel PowerLevels::required_for(std::string_view type, bool is_state) const {
  if (auto own = level_in("events", type)) return *own;
  return is_state ? level("state_default").value_or(kDefaultStateLevel)
                  : level("events_default").value_or(0);
}

PowerLevel PowerLevels::ban() const {
  return level("ban").value_or(kDefaultModerationLevel);
}

PowerLevel PowerLevels::kick() const {
  return level("kick").value_or(kDefaultModerationLevel);
}

PowerLevel PowerLevels::redact() const {
  return level("redact").value_or(kDefaultModerationLevel);
}

PowerLevel PowerLevels::invite() const {
  return level("invite").value_or(0);
}

PowerLevel PowerLevels::notification(std::string_view key) const {
  return level_in("notifications", key).value_or(kDefaultNotificationLevel);
}

// https://spec.matrix.org/v1.19/rooms/v12/#authorisation-rules (note on room creators), MSC4289
bool PowerLevels::is_privileged_creator(std::string_view user_id) const {
  if (!create_.rules().privileged_creators) return false;
  if (create_.sender().view() == user_id) return true;
  const json::Array* others = create_.content().find_array("additional_creators");
  return others && std::any_of(others->begin(), others->end(), [&](const json::Value& other) {
           const std::string* id = other.as_string();
           return id && *id == user_id;
         });
}

std::string_view room_creator(const Event& create) {
  if (create.rules().creator_is_sender) return create.sender().view();
  const std::string* creator = create.content().find_string("creator");
  return creator ? std::string_view(*creator) : std::string_view();
}

EventId create_event_id(const RoomId& room_id) {
  std::string text = room_id.str();
  if (!text.empty()) text.front() = '$';
  return EventId::trusted(std::move(text));
}

}  // namespace polder::dag
