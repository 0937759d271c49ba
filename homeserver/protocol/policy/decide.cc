#include "homeserver/protocol/policy/decide.h"

#include <array>

#include "homeserver/protocol/policy/rules.h"

namespace polder::policy {
namespace {

constexpr std::array kRules = {
    Rule{"accounts", "Who was deactivated does nothing any more.", check_account},
    Rule{"guests", "Guests do what the specification lists, and join where guests may.",
         check_guest},
    Rule{"registration", "Who registers is let in by the configuration, or by an administrator.",
         check_registration},
    Rule{"federation", "Where federation is off, nothing comes from other servers or goes to them.",
         check_federation},
    Rule{"redaction", "Others' events are redacted by who has the redact level.", check_redaction},
    Rule{"administration",
         "Rooms are purged, jobs stopped and others' accounts changed by administrators.",
         check_administration},
    Rule{"privileges", "What administrators and moderators do over others is on record.",
         check_privileges},
};

}  // namespace

std::span<const Rule> rules() {
  return kRules;
}

Decision decide(const Act& act, const Actor& actor, const Facts& facts) {
  Permission permission;
  for (const Rule& rule : kRules) {
    Finding found = rule.check(act, actor, facts);
    if (auto* refusal = std::get_if<Refusal>(&found)) {
      refusal->rule = rule.name;
      return std::move(*refusal);
    }
    const auto* permitted = std::get_if<Permission>(&found);
    if (permitted != nullptr && permission.privilege.empty()) permission = *permitted;
  }
  return permission;
}

const Refusal* refusal_of(const Decision& decision) {
  return std::get_if<Refusal>(&decision);
}

Error to_error(const Refusal& refusal) {
  return fail(refusal.code, refusal.errcode, refusal.reason);
}

Status to_status(const Decision& decision) {
  const Refusal* refusal = refusal_of(decision);
  return refusal != nullptr ? Status(to_error(*refusal)) : Status();
}

std::string_view privilege_of(const Decision& decision) {
  const auto* permission = std::get_if<Permission>(&decision);
  return permission != nullptr ? permission->privilege : std::string_view();
}

}  // namespace polder::policy
