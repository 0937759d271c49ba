// What must hold of an event for a rule to match
// (https://spec.matrix.org/v1.19/client-server-api/#conditions-1).
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "homeserver/base/json/value.h"
#include "homeserver/base/values/glob.h"

namespace polder::push_rules {

inline constexpr size_t kPatternMax = 255;  // characters, runs of '*' counted once
inline constexpr base::GlobSyntax kGlobs{.size_max = kPatternMax};

// An event, and what the rules ask of its room. Borrows all of it.
struct EventContext {
  const json::Object& event;  // as clients see it; room_id may be absent
  std::string_view room_id;
  uint64_t members = 0;  // joined
  // Whether the sender may notify in this way ("room"), by the power levels.
  std::function<bool(std::string_view key)> sender_may_notify;
};

// Whose rules they are.
struct RuleOwner {
  std::string_view user;
  std::string_view display_name;  // in the room; empty: none
};

// One evaluation: what was found out is kept for the next condition.
class Evaluation {
 public:
  Evaluation(const EventContext& context, const RuleOwner& owner)
      : context_(context), owner_(owner) {}

  const EventContext& context() const { return context_; }
  const RuleOwner& owner() const { return owner_; }
  // content.body, folded; nothing if it is no string.
  const std::optional<std::u32string>& body();
  // For another owner the outcome could be another.
  bool personal = false;

 private:
  const EventContext& context_;
  const RuleOwner& owner_;
  bool body_read_ = false;
  std::optional<std::u32string> body_;
};

// In a default rule: the id of the user whose rule it is.
inline constexpr std::string_view kOwnUserId = "[the user's Matrix ID]";

// Immutable; thread-safe.
class Condition {
 public:
  // kInvalid if it has no kind; kTooLarge for patterns over the limit. What is not understood is
  // kept and never matches.
  static Result<Condition> parse(const json::Object& object);

  bool holds(Evaluation& evaluation) const;
  // As it was written, for the user.
  json::Value to_json(std::string_view user) const;
  // False if it can hold for no event of the room.
  bool possible_in(std::string_view room_id) const;
  bool asks_display_name() const { return kind_ == Kind::kDisplayName; }

 private:
  enum class Kind : uint8_t {
    kUnknown,
    kMatch,
    kIs,
    kContains,
    kDisplayName,
    kMemberCount,
    kPermission,
  };

  void parse_known(const std::string& kind);
  void parse_member_count();
  bool matches_text(Evaluation& evaluation) const;
  bool equals(const json::Value& value, Evaluation& evaluation) const;
  bool contains(const json::Value& value, Evaluation& evaluation) const;
  bool counts(uint64_t members) const;

  json::Object object_;
  Kind kind_ = Kind::kUnknown;
  std::string key_;
  std::vector<std::string> path_;
  std::optional<base::Glob> glob_;
  std::string pattern_;
  json::Value value_;
  bool of_user_ = false;   // the pattern or value is the user's own id
  char comparison_ = '=';  // '=', '<', '>', 'l' (<=), 'g' (>=)
  uint64_t member_count_ = 0;
};

// The names of a dot-separated path
// (https://spec.matrix.org/v1.19/appendices/#dot-separated-property-paths).
std::vector<std::string> split_path(std::string_view path);

}  // namespace polder::push_rules
