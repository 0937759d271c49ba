// A user's push rules (https://spec.matrix.org/v1.19/client-server-api/#push-rules): the defaults
// of the specification with what the user changed and added. Values; nothing of disk or network.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "homeserver/base/json/value.h"
#include "homeserver/protocol/push_rules/condition.h"

namespace polder::push_rules {

// In the order in which they are checked.
enum class Kind : uint8_t { kOverride, kContent, kRoom, kSender, kUnderride };
inline constexpr std::array<std::string_view, 5> kKindNames = {"override", "content", "room",
                                                               "sender", "underride"};
std::optional<Kind> kind_from(std::string_view name);

inline constexpr size_t kRuleIdBytesMax = 255;
inline constexpr size_t kActionsMax = 100;  // of a rule

// What becomes of an event for a user.
struct Outcome {
  bool notify = false;
  bool highlight = false;
  json::Object tweaks;    // of a notification
  bool personal = false;  // another user with equal rules could come to another outcome
};

// What a list of actions comes to. Unknown tweaks are passed on; dont_notify and coalesce are
// nothing.
Outcome outcome_of(const json::Array& actions);

struct Rule {
  // What a rule of the server was before the user changed it.
  struct Default {
    bool enabled = true;
    json::Array actions;
  };

  std::string id;
  std::optional<Default> server_default;  // nothing: made by the user
  bool enabled = true;
  json::Array actions;
  std::vector<Condition> conditions;  // of override and underride rules
  std::string pattern;                // of content rules
  std::optional<base::Glob> glob;
};

// A value type: copies are deep. Reading from several threads at once is safe.
class RuleSet {
 public:
  RuleSet();  // the server-default rules of v1.19
  // What changes() gave.
  static Result<RuleSet> parse(const json::Object& changes);
  // All that is not as by default.
  json::Object changes() const;

  // In the order in which they are checked.
  const std::vector<Rule>& rules(Kind kind) const { return rules_[static_cast<size_t>(kind)]; }
  const Rule* find(Kind kind, std::string_view id) const;  // null if there is none

  // Where a rule goes; empty: where it is, or, if it is new, before all others of the user.
  struct Place {
    std::string_view before = {};
    std::string_view after = {};
  };
  // Adds or changes a user's rule. kInvalid, kBadType, kMissing, kTooLarge for ids and bodies that
  // are none; kNotFound if there is no rule to put it before or after. On any error, here and
  // below, nothing has changed.
  Status put(Kind kind, std::string_view id, const json::Object& body, const Place& place);
  Status erase(Kind kind, std::string_view id);  // kNotFound; rules of the server stay
  Status set_enabled(Kind kind, std::string_view id, bool enabled);         // kNotFound
  Status set_actions(Kind kind, std::string_view id, json::Array actions);  // kNotFound, kInvalid

  json::Object rule_json(Kind kind, const Rule& rule, std::string_view user) const;
  json::Object to_json(std::string_view user) const;  // {"override": [...], ...}

  // By the first rule that matches. Events that the owner sent notify them never; who asks does
  // not ask for those.
  Outcome evaluate(const EventContext& context, const RuleOwner& owner) const;

  // True if events of that room notify and highlight as they do by default.
  bool acts_as_default(std::string_view room_id) const;
  bool asks_display_name() const;

 private:
  std::vector<Rule>& list(Kind kind) { return rules_[static_cast<size_t>(kind)]; }
  Rule* find_rule(Kind kind, std::string_view id);

  std::array<std::vector<Rule>, kKindNames.size()> rules_;
};

}  // namespace polder::push_rules
