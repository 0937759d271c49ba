// The policy: whether an act is permitted, for what reason not. Pure: a list of rules over the act,
// the actor and facts; it says nothing about what the room's own authorisation rules allow.
// Adding a rule is a file and its test, a line in rules.h and one in decide.cc.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "homeserver/base/values/result.h"
#include "homeserver/protocol/policy/act.h"
#include "homeserver/protocol/policy/facts.h"

namespace polder::policy {

// No rule objects. An act that only a privilege permits (over other users' events, by an
// administrator) is one for the audit records.
struct Permission {
  std::string_view privilege{};  // which; empty: none was needed
};

struct Refusal {
  ErrorCode code = ErrorCode::kForbidden;
  Errcode errcode{};        // the specification's
  std::string reason{};     // for the user
  std::string_view rule{};  // that refused, by its name
};

using Decision = std::variant<Permission, Refusal>;

// What one rule says of an act.
struct Nothing {};
using Finding = std::variant<Nothing, Permission, Refusal>;

struct Rule {
  std::string_view name;
  std::string_view why;  // in a sentence, for people
  Finding (*check)(const Act&, const Actor&, const Facts&);
};
std::span<const Rule> rules();

// The first refusal, in the order of the rules; else the permission, with the privilege that a rule
// found to be used.
Decision decide(const Act& act, const Actor& actor, const Facts& facts);

// For points outside of rooms: decides, and has refusals on record. The facts are all that is
// known.
using Ask = std::function<Status(const Act&, const Actor&, const Facts&)>;

// Null if permitted.
const Refusal* refusal_of(const Decision& decision);
Error to_error(const Refusal& refusal);
// The refusal as an error, if it is one.
Status to_status(const Decision& decision);
std::string_view privilege_of(const Decision& decision);

}  // namespace polder::policy
