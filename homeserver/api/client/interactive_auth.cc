#include "homeserver/api/client/interactive_auth.h"

namespace polder::client_api {

Result<std::optional<json::Object>> take_auth(Call& call) {
  const json::Value* auth = call.body.find("auth");
  std::optional<json::Object> taken;
  if (auth != nullptr && !auth->is_null()) {
    POLDER_TRY(const json::Object* object, json::read_object(*auth, "auth"));
    taken = *object;
  }
  call.body.erase("auth");
  return taken;
}

users::GuardedRequest guarded_request(const Call& call) {
  users::GuardedRequest request;
  request.operation =
      std::string(http::to_string(call.request().method)) + " " + call.request().path;
  if (const users::Session* session = call.session_if_any(); session != nullptr) {
    request.user = session->user;
    request.device = session->device;
  }
  request.address = call.request().remote_address;
  return request;
}

Result<Confirmation> read_confirmation(const Api& api, Call& call, bool secret) {
  Confirmation confirmation;
  POLDER_TRY(confirmation.auth, take_auth(call));
  confirmation.request = guarded_request(call);
  confirmation.request.kind = secret ? users::Parameters::kSameAndSecret : users::Parameters::kSame;
  confirmation.request.flows = {{users::kPasswordStage}};
  if (call.body.empty() && confirmation.auth)
    call.body = api.authentication.recall(confirmation.request, *confirmation.auth);
  return confirmation;
}

Task<Result<http::Response>> confirmed(const Api& api, Call& call, Confirmation confirmation,
                                       users::InteractiveAuthentication::CarryOut carry_out) {
  confirmation.request.parameters = std::move(call.body);
  POLDER_CO_TRY(const auto answer, co_await api.authentication.perform(
                                       std::move(confirmation.request),
                                       std::move(confirmation.auth), std::move(carry_out)));
  co_return interactive_response(answer);
}

http::Response interactive_response(const users::InteractiveAnswer& answer) {
  http::Response response = ok_json(answer.body);
  if (!answer.carried_out) response.status = 401;
  return response;
}

}  // namespace polder::client_api
