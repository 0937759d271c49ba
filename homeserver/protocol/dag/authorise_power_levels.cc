#include "homeserver/protocol/dag/authorise_power_levels.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "homeserver/protocol/dag/rules.h"

namespace polder::dag {

using events::Event;
using events::RoomVersionRules;

namespace {

constexpr std::array<std::string_view, 7> kLevels = {
    "users_default", "events_default", "state_default", "ban", "redact", "kick", "invite"};

// What a content has of kLevels; null where it has none.
using LevelValues = std::array<const json::Value*, kLevels.size()>;

LevelValues levels_in(const json::Object& content) {
  LevelValues values{};
  for (const auto& [name, value] : content) {
    const auto* const level = std::find(kLevels.begin(), kLevels.end(), name);
    if (level != kLevels.end()) values[static_cast<size_t>(level - kLevels.begin())] = &value;
  }
  return values;
}

// The sub-rules' numbers: version 10 has two more before the first, version 12 one after it.
struct Steps {
  explicit Steps(const RoomVersionRules& rules)
      : users(rules.integer_power_levels ? 3 : 1),
        creators(users + 1),
        levels(users + (rules.privileged_creators ? 3 : 2)) {}

  int users;     // format of `users`
  int creators;  // no creators among `users`
  int levels;    // alterations of the single levels; of entries of maps: the four after it
};

// One check of one power levels event against the levels before it.
class PowerLevelsCheck {
 public:
  PowerLevelsCheck(const Event& event, const Event& create, const PowerLevels& current)
      : event_(event),
        create_(create),
        current_(current),
        rules_(event.rules()),
        steps_(rules_),
        power_(current.user(event.sender().view())),
        values_(levels_in(event.content())) {}

  Verdict run() const;
  Verdict check_format() const;

 private:
  Refusal refuse_levels(int step, std::string_view why) const {
    return refuse(Rule::kPowerLevels, {step}, why);
  }
  Refusal refuse_levels(int step, int part, std::string_view why) const {
    return refuse(Rule::kPowerLevels, {step, part}, why);
  }
  std::optional<int64_t> parse(const json::Value& value) const {
    return parse_power_level(value, rules_);
  }
  Verdict check_map_format(std::string_view name, int step) const;
  Verdict check_users_format() const;
  Verdict check_level(const json::Value* old_value, const json::Value* new_value) const;
  Verdict check_map(std::string_view name) const;
  Verdict check_entry(std::string_view map, std::string_view key, const json::Value* old_value,
                      const json::Value* new_value) const;

  const Event& event_;
  const Event& create_;
  const PowerLevels& current_;
  const RoomVersionRules& rules_;
  Steps steps_;
  PowerLevel power_;
  LevelValues values_;
};

// https://spec.matrix.org/v1.19/rooms/v12/#authorisation-rules, rule 10
//   1. From version 10: the single levels are integers, 2. and `events` and `notifications`
//      objects of integers.
//   3. `users` is an object from user ids to levels,
//   4. from version 12 without the room's creators.
//   5. The first power levels of the room: allow.
//   6. The sender's power bounds each single level that changes, old and new,
//   7. each old and 8. each new entry of `events` and (from version 6) `notifications`,
//   9. lies above each old entry of `users` but the sender's own, 10. and bounds each new one.
//   11. Otherwise allow.
Verdict PowerLevelsCheck::run() const {
  POLDER_CHECK(check_format());
  if (!current_.event()) return {};
  const LevelValues old_values = levels_in(current_.event()->content());
  for (size_t i = 0; i < kLevels.size(); ++i)
    POLDER_CHECK(check_level(old_values[i], values_[i]));
  POLDER_CHECK(check_map("events"));
  if (rules_.check_notifications_levels) POLDER_CHECK(check_map("notifications"));
  return check_map("users");
}

// Before version 10 no rule names levels of a wrong type; as nothing could be compared with them,
// they are refused by the rule that would have to compare them.
Verdict PowerLevelsCheck::check_format() const {
  const bool strict = rules_.integer_power_levels;
  for (const json::Value* value : values_) {
    if (value && !parse(*value))
      return refuse_levels(strict ? 1 : steps_.levels, "a level is no integer");
  }
  POLDER_CHECK(check_map_format("events", strict ? 2 : steps_.levels + 2));
  if (rules_.check_notifications_levels)
    POLDER_CHECK(check_map_format("notifications", strict ? 2 : steps_.levels + 2));
  return check_users_format();
}

Verdict PowerLevelsCheck::check_map_format(std::string_view name, int step) const {
  const json::Value* value = event_.content().find(name);
  if (!value) return {};
  const json::Object* map = value->as_object();
  if (!map || !std::all_of(map->begin(), map->end(),
                           [this](const auto& entry) { return parse(entry.second).has_value(); }))
    return refuse_levels(step, "events or notifications are no object of integers");
  return {};
}

Verdict PowerLevelsCheck::check_users_format() const {
  const json::Value* value = event_.content().find("users");
  if (!value) return {};
  const json::Object* users = value->as_object();
  if (!users) return refuse_levels(steps_.users, "users is no object");
  for (const auto& [user, level] : *users) {
    if (!UserId::parse(user).ok()) return refuse_levels(steps_.users, "a user id is not valid");
    if (!parse(level)) return refuse_levels(steps_.users, "a user's level is no integer");
  }
  if (!rules_.privileged_creators) return {};
  bool names_creator = users->contains(create_.sender().view());
  if (const json::Array* others = create_.content().find_array("additional_creators")) {
    for (const json::Value& other : *others)
      names_creator = names_creator || (other.as_string() && users->contains(*other.as_string()));
  }
  if (names_creator) return refuse_levels(steps_.creators, "users has a creator of the room");
  return {};
}

Verdict PowerLevelsCheck::check_level(const json::Value* old_value,
                                      const json::Value* new_value) const {
  auto before = old_value ? parse(*old_value) : std::nullopt;
  auto after = new_value ? parse(*new_value) : std::nullopt;
  if (before == after) return {};
  if (before && PowerLevel(*before) > power_)
    return refuse_levels(steps_.levels, 1, "a level above the sender's own changes");
  if (after && PowerLevel(*after) > power_)
    return refuse_levels(steps_.levels, 2, "a level is raised above the sender's own");
  return {};
}

// Both objects are sorted by key: one pass over both.
Verdict PowerLevelsCheck::check_map(std::string_view name) const {
  static const json::Object kNone;
  const json::Object* before = current_.event()->content().find_object(name);
  const json::Object* after = event_.content().find_object(name);
  const json::Object& old_map = before ? *before : kNone;
  const json::Object& new_map = after ? *after : kNone;
  const auto* a = old_map.begin();
  const auto* b = new_map.begin();
  while (a != old_map.end() || b != new_map.end()) {
    int order = a == old_map.end() ? 1 : b == new_map.end() ? -1 : a->first.compare(b->first);
    const std::string& key = order <= 0 ? a->first : b->first;
    const json::Value* old_value = order <= 0 ? &a->second : nullptr;
    const json::Value* new_value = order >= 0 ? &b->second : nullptr;
    POLDER_CHECK(check_entry(name, key, old_value, new_value));
    if (order <= 0) ++a;
    if (order >= 0) ++b;
  }
  return {};
}

Verdict PowerLevelsCheck::check_entry(std::string_view map, std::string_view key,
                                      const json::Value* old_value,
                                      const json::Value* new_value) const {
  auto before = old_value ? parse(*old_value) : std::nullopt;
  auto after = new_value ? parse(*new_value) : std::nullopt;
  if (before == after) return {};
  const bool is_user = map == "users";
  const int changed = steps_.levels + (is_user ? 3 : 1);
  if (before && is_user && key != event_.sender().view() && PowerLevel(*before) >= power_)
    return refuse_levels(changed, 1, "the level of a user of no less power changes");
  if (before && !is_user && PowerLevel(*before) > power_)
    return refuse_levels(changed, 1, "a level above the sender's own changes");
  if (after && PowerLevel(*after) > power_)
    return refuse_levels(changed + 1, 1, "a level is raised above the sender's own");
  return {};
}

}  // namespace

Verdict check_power_levels_form(const Event& event, const Event& create) {
  return PowerLevelsCheck(event, create, PowerLevels(create, nullptr)).check_format();
}

Verdict authorise_power_levels(const Event& event, const Event& create,
                               const PowerLevels& current) {
  return PowerLevelsCheck(event, create, current).run();
}

}  // namespace polder::dag
