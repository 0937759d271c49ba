#include "homeserver/api/client/interactive_auth.h"

namespace polder::client_api {

namespace {

// https://spec.matrix.org/v1.19/client-server-api/#password-based: who confirms is who asks.
Result<bool> names_another(const json::Object& auth, const UserId& user) {
  POLDER_TRY(const json::Object* identifier, json::Reader(auth).optional_object("identifier"));
  POLDER_TRY(
      const auto name,
      json::Reader(identifier != nullptr ? *identifier : auth, "auth.").optional_string("user"));
  return name && *name != user.view() && *name != user.localpart();
}

}  // namespace

Result<const json::Object*> auth_of(const Call& call) {
  const json::Value* auth = call.body.find("auth");
  if (auth == nullptr || auth->is_null()) return static_cast<const json::Object*>(nullptr);
  return json::read_object(*auth, "auth");
}

Task<Result<std::optional<http::Response>>> confirm_password(const Api& api, const Call& call) {
  POLDER_CO_TRY(const json::Object* auth, auth_of(call));
  std::string type;
  if (auth != nullptr) {
    POLDER_CO_TRY(type, json::Reader(*auth, "auth.").string_or("type", ""));
  }
  json::Object challenge{
      {"flows", json::Array(1, json::object({{"stages", json::Array(1, "m.login.password")}}))},
      {"params", json::Object()},
      {"session", api.runtime.random().letters(24)}};
  if (type == "m.login.password") {
    POLDER_CO_TRY(const bool another, names_another(*auth, call.session().user));
    if (another) co_return fail(ErrorCode::kForbidden, "The password must be that of the caller");
    POLDER_CO_TRY(std::string password, json::Reader(*auth, "auth.").string("password"));
    users::Credential credential{type, call.session().user, std::move(password)};
    const auto proof = co_await api.identities.check(std::move(credential));
    if (proof.ok() && proof->user == call.session().user && !proof->deactivated)
      co_return std::optional<http::Response>();
    if (!proof.ok() && proof.error().code != ErrorCode::kForbidden) co_return proof.error();
    challenge.set("errcode", "M_FORBIDDEN");
    challenge.set("error", "Invalid password");
  }
  http::Response response = ok_json(challenge);
  response.status = 401;
  co_return std::optional(std::move(response));
}

}  // namespace polder::client_api
