#include "homeserver/api/client/login.h"

namespace polder::client_api {

Result<users::NewSession> read_new_session(const Call& call) {
  users::NewSession session;
  session.address = call.request().remote_address;
  POLDER_TRY(const auto device, call.fields().optional_string("device_id"));
  if (device) {
    POLDER_TRY(session.device, DeviceId::parse(*device));
  }
  POLDER_TRY(session.display_name,
             call.fields().string_or("initial_device_display_name", "", kDeviceNames));
  return session;
}

Task<Result<json::Object>> begin_session(const Api& api, UserId user, users::NewSession wanted) {
  POLDER_CO_TRY(const users::SessionToken made,
                co_await api.sessions.log_in(std::move(user), std::move(wanted)));
  co_return json::Object{{"user_id", made.session.user.str()},
                         {"access_token", made.access_token},
                         {"device_id", made.session.device.str()},
                         {"home_server", api.accounts.parts().own_name.str()}};
}

Error registration_error(const Error& error) {
  if (error.code == ErrorCode::kExists)
    return fail(ErrorCode::kInvalid, "M_USER_IN_USE", "User ID already taken");
  if (error.code == ErrorCode::kInvalid)
    return fail(ErrorCode::kInvalid, "M_INVALID_USERNAME", error.message);
  return error;
}

}  // namespace polder::client_api
