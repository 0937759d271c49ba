// Push rules (https://spec.matrix.org/v1.19/client-server-api/#push-rules-api).
#include "homeserver/api/client/api.h"
#include "homeserver/protocol/push_rules/rule_set.h"
#include "homeserver/sync/push/rules.h"

namespace polder::client_api {
namespace {

using http::Method;
using http::Response;
using push_rules::Kind;
using push_rules::Rule;
using push_rules::RuleSet;

// Which rule a request is about.
struct Name {
  Kind kind = Kind::kOverride;
  std::string id;
};

Result<Name> name_of(const Call& call) {
  const auto kind = push_rules::kind_from(call.path("kind"));
  if (!kind) return fail(ErrorCode::kNotFound, "The push rule was not found.");
  return Name{*kind, std::string(call.path("ruleId"))};
}

Result<const Rule*> find(const RuleSet& rules, const Name& name) {
  const Rule* rule = rules.find(name.kind, name.id);
  if (rule == nullptr) return fail(ErrorCode::kNotFound, "The push rule was not found.");
  return rule;
}

Task<Result<Response>> get_all(const Api& api, Call& call) {
  POLDER_CO_TRY(const auto of, co_await api.push_rules.get(call.session().number));
  co_return ok_json({{"global", of.rules->to_json(call.session().user.view())}});
}

Task<Result<Response>> get_global(const Api& api, Call& call) {
  POLDER_CO_TRY(const auto of, co_await api.push_rules.get(call.session().number));
  co_return ok_json(of.rules->to_json(call.session().user.view()));
}

Task<Result<Response>> get_rule(const Api& api, Call& call) {
  POLDER_CO_TRY(const Name name, name_of(call));
  POLDER_CO_TRY(const auto of, co_await api.push_rules.get(call.session().number));
  POLDER_CO_TRY(const Rule* rule, find(*of.rules, name));
  co_return ok_json(of.rules->rule_json(name.kind, *rule, call.session().user.view()));
}

Task<Result<Response>> get_enabled(const Api& api, Call& call) {
  POLDER_CO_TRY(const Name name, name_of(call));
  POLDER_CO_TRY(const auto of, co_await api.push_rules.get(call.session().number));
  POLDER_CO_TRY(const Rule* rule, find(*of.rules, name));
  co_return ok_json({{"enabled", rule->enabled}});
}

Task<Result<Response>> get_actions(const Api& api, Call& call) {
  POLDER_CO_TRY(const Name name, name_of(call));
  POLDER_CO_TRY(const auto of, co_await api.push_rules.get(call.session().number));
  POLDER_CO_TRY(const Rule* rule, find(*of.rules, name));
  co_return ok_json({{"actions", rule->actions}});
}

Task<Result<Response>> change(const Api& api, Call& call, push::Rules::Change edit) {
  POLDER_CO_CHECK(co_await api.push_rules.change(call.session().number, std::move(edit)));
  co_return empty_json();
}

// https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3pushrulesglobalkindruleid
Task<Result<Response>> put_rule(const Api& api, Call& call) {
  if (!push_rules::kind_from(call.path("kind")))
    co_return fail(ErrorCode::kInvalid, "Unknown kind of push rule");
  POLDER_CO_TRY(const Name name, name_of(call));
  const std::string before(call.query("before").value_or(""));
  const std::string after(call.query("after").value_or(""));
  const json::Object body = call.body;
  co_return co_await change(api, call, [name, before, after, body](RuleSet& rules) -> Status {
    Status put = rules.put(name.kind, name.id, body, {.before = before, .after = after});
    if (!put.ok() && put.error().code == ErrorCode::kNotFound)
      return fail(ErrorCode::kInvalid, "M_UNKNOWN", put.error().message);
    return put;
  });
}

Task<Result<Response>> delete_rule(const Api& api, Call& call) {
  POLDER_CO_TRY(const Name name, name_of(call));
  co_return co_await change(api, call,
                            [name](RuleSet& rules) { return rules.erase(name.kind, name.id); });
}

Task<Result<Response>> put_enabled(const Api& api, Call& call) {
  POLDER_CO_TRY(const Name name, name_of(call));
  POLDER_CO_TRY(const bool value, call.fields().boolean("enabled"));
  co_return co_await change(api, call, [name, value](RuleSet& rules) {
    return rules.set_enabled(name.kind, name.id, value);
  });
}

Task<Result<Response>> put_actions(const Api& api, Call& call) {
  POLDER_CO_TRY(const Name name, name_of(call));
  POLDER_CO_TRY(const json::Array* actions,
                call.fields().array("actions", {push_rules::kActionsMax}));
  const json::Array value = *actions;
  co_return co_await change(api, call, [name, value](RuleSet& rules) {
    return rules.set_actions(name.kind, name.id, value);
  });
}

constexpr kit::Terms kBody{.body_max = kSmallBody};
constexpr std::string_view kRule = "/_matrix/client/v3/pushrules/global/{kind}/{ruleId}";
constexpr std::string_view kEnabled = "/_matrix/client/v3/pushrules/global/{kind}/{ruleId}/enabled";
constexpr std::string_view kActions = "/_matrix/client/v3/pushrules/global/{kind}/{ruleId}/actions";
constexpr Operation kPushOperations[] = {
    {"getPushRules", Method::kGet, "/_matrix/client/v3/pushrules/", get_all},
    {"getPushRulesGlobal", Method::kGet, "/_matrix/client/v3/pushrules/global/", get_global},
    {"getPushRule", Method::kGet, kRule, get_rule},
    {"setPushRule", Method::kPut, kRule, put_rule, kBody},
    {"deletePushRule", Method::kDelete, kRule, delete_rule},
    {"isPushRuleEnabled", Method::kGet, kEnabled, get_enabled},
    {"setPushRuleEnabled", Method::kPut, kEnabled, put_enabled, kBody},
    {"getPushRuleActions", Method::kGet, kActions, get_actions},
    {"setPushRuleActions", Method::kPut, kActions, put_actions, kBody},
};

}  // namespace

void add_push_routes(http::Router& router, const Api& api) {
  add_operations(router, api, kPushOperations);
}

}  // namespace polder::client_api
