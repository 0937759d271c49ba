#include "homeserver/protocol/push_rules/rule_set.h"

#include <algorithm>

#include "homeserver/base/json/parse.h"
#include "homeserver/base/json/reader.h"
#include "homeserver/protocol/push_rules/defaults.h"

namespace polder::push_rules {
namespace {

constexpr std::string_view kChangedDefaults = "defaults";  // in changes()
constexpr size_t kConditionsMax = 100;                     // of a rule

bool has_conditions(Kind kind) {
  return kind == Kind::kOverride || kind == Kind::kUnderride;
}

// https://spec.matrix.org/v1.19/client-server-api/#historical-actions: dont_notify and coalesce do
// nothing; whoever sets them gets them back.
Result<json::Array> parse_actions(const json::Array& actions) {
  for (const json::Value& action : actions) {
    if (const std::string* name = action.as_string()) {
      if (*name != "notify" && *name != "dont_notify" && *name != "coalesce")
        return fail(ErrorCode::kInvalid, "Unknown action");
    } else {
      const json::Object* tweak = action.as_object();
      if (tweak == nullptr || tweak->find_string("set_tweak") == nullptr)
        return fail(ErrorCode::kInvalid, "An action is no string and sets no tweak");
    }
  }
  return actions;
}

Status parse_conditions(const json::Object& body, Rule& rule) {
  const json::Value* conditions = body.find("conditions");
  if (conditions == nullptr) return {};
  if (conditions->as_array() == nullptr)
    return fail(ErrorCode::kInvalid, "conditions must be an array");
  for (const json::Value& value : *conditions->as_array()) {
    if (value.as_object() == nullptr)
      return fail(ErrorCode::kInvalid, "A condition must be an object");
    POLDER_TRY(auto condition, Condition::parse(*value.as_object()));
    rule.conditions.push_back(std::move(condition));
  }
  return {};
}

Result<Rule> parse_rule(Kind kind, std::string_view id, const json::Object& body) {
  Rule rule;
  rule.id = id;
  const json::Value* actions = body.find("actions");
  if (actions == nullptr) return fail(ErrorCode::kMissing, "Missing actions");
  if (actions->as_array() == nullptr) return fail(ErrorCode::kInvalid, "actions must be an array");
  POLDER_TRY(rule.actions, parse_actions(*actions->as_array()));
  if (has_conditions(kind)) POLDER_CHECK(parse_conditions(body, rule));
  if (kind == Kind::kContent) {
    const std::string* pattern = body.find_string("pattern");
    if (pattern == nullptr) return fail(ErrorCode::kMissing, "Missing pattern");
    rule.pattern = *pattern;
    POLDER_TRY(rule.glob, base::Glob::parse(*pattern, kGlobs));
  }
  return rule;
}

// Types and counts of what a client gives. What is stored already is taken as it is.
Status check_types(const json::Object& body) {
  const json::Reader in(body);
  POLDER_CHECK(in.array("actions", {kActionsMax}));
  POLDER_CHECK(in.optional_string("pattern"));
  POLDER_TRY(const json::Array* conditions, in.optional_array("conditions", {kConditionsMax}));
  if (conditions == nullptr) return {};
  for (const json::Value& value : *conditions) {
    POLDER_TRY(const json::Object* condition, json::read_object(value, "each of conditions"));
    const json::Reader of(*condition, "conditions.");
    POLDER_CHECK(of.string("kind"));
    for (const std::string_view name : {"key", "pattern", "is"})
      POLDER_CHECK(of.optional_string(name));
  }
  return {};
}

Status check_id(std::string_view id) {
  if (id.empty() || id.size() > kRuleIdBytesMax)
    return fail(ErrorCode::kInvalid, "The rule's id is empty or too long");
  if (id.starts_with('.'))
    return fail(ErrorCode::kInvalid, "Ids that begin with a dot are the server's");
  if (id.find_first_of("/\\") != std::string_view::npos)
    return fail(ErrorCode::kInvalid, "The rule's id has a slash or a backslash in it");
  return {};
}

std::vector<Rule>::iterator find_in(std::vector<Rule>& rules, std::string_view id) {
  return std::ranges::find(rules, id, &Rule::id);
}

// Before all rules of the user, but after the one that is above all.
std::vector<Rule>::iterator first_of_user(std::vector<Rule>& rules) {
  const bool has_master = !rules.empty() && rules.front().id == kMasterRule;
  return rules.begin() + (has_master ? 1 : 0);
}

bool matches(Kind kind, const Rule& rule, Evaluation& evaluation) {
  switch (kind) {
    case Kind::kContent: {
      const auto& body = evaluation.body();
      return body && rule.glob->matches_words(*body);
    }
    case Kind::kRoom:
      return evaluation.context().room_id == rule.id;
    case Kind::kSender: {
      const std::string* sender = evaluation.context().event.find_string("sender");
      return sender != nullptr && *sender == rule.id;
    }
    default:
      return std::ranges::all_of(
          rule.conditions, [&](const Condition& condition) { return condition.holds(evaluation); });
  }
}

bool possible_in(Kind kind, const Rule& rule, std::string_view room_id) {
  if (!rule.enabled) return false;
  if (kind == Kind::kRoom) return rule.id == room_id;
  return std::ranges::all_of(
      rule.conditions, [&](const Condition& condition) { return condition.possible_in(room_id); });
}

json::Object stored_rule(Kind kind, const Rule& rule) {
  json::Object object{{"rule_id", rule.id}, {"enabled", rule.enabled}, {"actions", rule.actions}};
  if (has_conditions(kind)) {
    json::Array conditions;
    for (const Condition& condition : rule.conditions)
      conditions.push_back(condition.to_json(kOwnUserId));
    object.set("conditions", std::move(conditions));
  }
  if (kind == Kind::kContent) object.set("pattern", rule.pattern);
  return object;
}

// Rules of one kind, as stored or as the defaults are written.
Result<std::vector<Rule>> parse_rules(Kind kind, const json::Object& object) {
  std::vector<Rule> rules;
  const json::Array* array = object.find_array(kKindNames[static_cast<size_t>(kind)]);
  if (array == nullptr) return rules;
  for (const json::Value& value : *array) {
    const json::Object* body = value.as_object();
    const std::string* id = body == nullptr ? nullptr : body->find_string("rule_id");
    if (id == nullptr) return fail(ErrorCode::kCorrupt, "a push rule without id");
    POLDER_TRY(Rule rule, parse_rule(kind, *id, *body));
    rule.enabled = body->find_bool("enabled").value_or(true);
    rules.push_back(std::move(rule));
  }
  return rules;
}

}  // namespace

std::optional<Kind> kind_from(std::string_view name) {
  const auto found = std::ranges::find(kKindNames, name);
  if (found == kKindNames.end()) return std::nullopt;
  return static_cast<Kind>(found - kKindNames.begin());
}

// https://spec.matrix.org/v1.19/client-server-api/#actions
Outcome outcome_of(const json::Array& actions) {
  Outcome outcome;
  for (const json::Value& action : actions) {
    if (action.as_string() != nullptr) {
      outcome.notify = outcome.notify || *action.as_string() == "notify";
      continue;
    }
    const json::Object* object = action.as_object();
    const std::string* tweak = object == nullptr ? nullptr : object->find_string("set_tweak");
    if (tweak == nullptr) continue;
    const json::Value* value = object->find("value");
    // "If a highlight tweak is given with no value, its value is defined to be true."
    if (*tweak == "highlight")
      outcome.highlight = value == nullptr || (value->as_bool() != nullptr && *value->as_bool());
    if (value != nullptr) {
      outcome.tweaks.set(*tweak, *value);
    } else if (*tweak == "highlight") {
      outcome.tweaks.set(*tweak, true);
    }
  }
  return outcome;
}

RuleSet::RuleSet() {
  const auto defaults = json::parse_object(kDefaultRules);
  if (!defaults.ok()) std::abort();
  for (const Kind kind : {Kind::kOverride, Kind::kUnderride}) {
    auto rules = parse_rules(kind, *defaults);
    if (!rules.ok()) std::abort();
    for (Rule& rule : *rules)
      rule.server_default = Rule::Default{rule.enabled, rule.actions};
    list(kind) = *std::move(rules);
  }
}

Result<RuleSet> RuleSet::parse(const json::Object& changes) {
  RuleSet set;
  for (size_t i = 0; i < kKindNames.size(); ++i) {
    const Kind kind = static_cast<Kind>(i);
    POLDER_TRY(auto rules, parse_rules(kind, changes));
    auto& list = set.list(kind);
    list.insert(first_of_user(list), std::make_move_iterator(rules.begin()),
                std::make_move_iterator(rules.end()));
    const json::Object* changed = changes.find_object(kChangedDefaults);
    const json::Object* of_kind =
        changed == nullptr ? nullptr : changed->find_object(kKindNames[i]);
    if (of_kind == nullptr) continue;
    for (const auto& [id, value] : *of_kind) {
      Rule* rule = set.find_rule(kind, id);
      // A rule that the specification no longer has.
      if (rule == nullptr || !rule->server_default || value.as_object() == nullptr) continue;
      rule->enabled = value.as_object()->find_bool("enabled").value_or(rule->enabled);
      if (const json::Array* actions = value.as_object()->find_array("actions")) {
        POLDER_TRY(rule->actions, parse_actions(*actions));
      }
    }
  }
  return set;
}

json::Object RuleSet::changes() const {
  json::Object changes;
  json::Object defaults;
  for (size_t i = 0; i < kKindNames.size(); ++i) {
    json::Array made;
    json::Object changed;
    for (const Rule& rule : rules_[i]) {
      if (!rule.server_default) {
        made.emplace_back(stored_rule(static_cast<Kind>(i), rule));
        continue;
      }
      json::Object difference;
      if (rule.enabled != rule.server_default->enabled) difference.set("enabled", rule.enabled);
      if (rule.actions != rule.server_default->actions) difference.set("actions", rule.actions);
      if (!difference.empty()) changed.set(rule.id, std::move(difference));
    }
    const std::string name(kKindNames[i]);
    if (!made.empty()) changes.set(name, std::move(made));
    if (!changed.empty()) defaults.set(name, std::move(changed));
  }
  if (!defaults.empty()) changes.set(std::string(kChangedDefaults), std::move(defaults));
  return changes;
}

Rule* RuleSet::find_rule(Kind kind, std::string_view id) {
  const auto found = find_in(list(kind), id);
  return found == list(kind).end() ? nullptr : &*found;
}
const Rule* RuleSet::find(Kind kind, std::string_view id) const {
  const auto found = std::ranges::find(rules(kind), id, &Rule::id);
  return found == rules(kind).end() ? nullptr : &*found;
}

// https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3pushrulesglobalkindruleid
Status RuleSet::put(Kind kind, std::string_view id, const json::Object& body, const Place& place) {
  POLDER_CHECK(check_id(id));
  POLDER_CHECK(check_types(body));
  POLDER_TRY(Rule rule, parse_rule(kind, id, body));
  std::vector<Rule> changed = list(kind);
  const auto known = find_in(changed, id);
  const bool moves = !place.before.empty() || !place.after.empty();
  if (known != changed.end()) {
    rule.enabled = known->enabled;
    if (!moves) {
      *known = std::move(rule);
      list(kind) = std::move(changed);
      return {};
    }
    changed.erase(known);
  }
  auto target = first_of_user(changed);
  if (moves) {
    // "If both after and before are provided, the new or updated rule must be the next most
    // important rule with respect to the rule identified by before."
    const std::string_view other = place.before.empty() ? place.after : place.before;
    target = find_in(changed, other);
    if (target == changed.end() || target->server_default)
      return fail(ErrorCode::kNotFound, "before/after rule not found: " + std::string(other));
    if (place.before.empty()) ++target;
  }
  changed.insert(target, std::move(rule));
  list(kind) = std::move(changed);
  return {};
}

Status RuleSet::erase(Kind kind, std::string_view id) {
  const auto found = find_in(list(kind), id);
  if (found == list(kind).end() || found->server_default)
    return fail(ErrorCode::kNotFound, "The push rule was not found.");
  list(kind).erase(found);
  return {};
}

Status RuleSet::set_enabled(Kind kind, std::string_view id, bool enabled) {
  Rule* rule = find_rule(kind, id);
  if (rule == nullptr) return fail(ErrorCode::kNotFound, "The push rule was not found.");
  rule->enabled = enabled;
  return {};
}

Status RuleSet::set_actions(Kind kind, std::string_view id, json::Array actions) {
  Rule* rule = find_rule(kind, id);
  if (rule == nullptr) return fail(ErrorCode::kNotFound, "The push rule was not found.");
  POLDER_TRY(rule->actions, parse_actions(actions));
  return {};
}

json::Object RuleSet::rule_json(Kind kind, const Rule& rule, std::string_view user) const {
  json::Object object = stored_rule(kind, rule);
  object.set("default", rule.server_default.has_value());
  if (!has_conditions(kind)) return object;
  json::Array conditions;
  for (const Condition& condition : rule.conditions)
    conditions.push_back(condition.to_json(user));
  object.set("conditions", std::move(conditions));
  return object;
}

json::Object RuleSet::to_json(std::string_view user) const {
  json::Object object;
  for (size_t i = 0; i < kKindNames.size(); ++i) {
    json::Array rules;
    for (const Rule& rule : rules_[i])
      rules.emplace_back(rule_json(static_cast<Kind>(i), rule, user));
    object.set(std::string(kKindNames[i]), std::move(rules));
  }
  return object;
}

Outcome RuleSet::evaluate(const EventContext& context, const RuleOwner& owner) const {
  Evaluation evaluation(context, owner);
  Outcome outcome;
  for (size_t i = 0; i < kKindNames.size(); ++i) {
    const Kind kind = static_cast<Kind>(i);
    const auto found = std::ranges::find_if(rules_[i], [&](const Rule& rule) {
      return rule.enabled && matches(kind, rule, evaluation);
    });
    if (found == rules_[i].end()) continue;
    outcome = outcome_of(found->actions);
    break;
  }
  outcome.personal = evaluation.personal;
  return outcome;
}

bool RuleSet::acts_as_default(std::string_view room_id) const {
  for (size_t i = 0; i < kKindNames.size(); ++i) {
    for (const Rule& rule : rules_[i]) {
      if (!rule.server_default) {
        if (possible_in(static_cast<Kind>(i), rule, room_id)) return false;
        continue;
      }
      const Outcome now = outcome_of(rule.actions);
      const Outcome before = outcome_of(rule.server_default->actions);
      if (rule.enabled != rule.server_default->enabled || now.notify != before.notify ||
          now.highlight != before.highlight)
        return false;
    }
  }
  return true;
}

bool RuleSet::asks_display_name() const {
  return std::ranges::any_of(rules_, [](const std::vector<Rule>& rules) {
    return std::ranges::any_of(rules, [](const Rule& rule) {
      return rule.enabled && std::ranges::any_of(rule.conditions, &Condition::asks_display_name);
    });
  });
}

}  // namespace polder::push_rules
