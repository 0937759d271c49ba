#include "media/api/common.h"

namespace polder::media_api {
namespace {

constexpr Millis kWaitDefault{20'000};

}  // namespace

Result<MxcUri> uri_of(std::string_view server, std::string_view media_id) {
  return MxcUri::parse(std::string("mxc://").append(server).append("/").append(media_id));
}

Result<Millis> wait_of(const Call& call) {
  POLDER_TRY(const int64_t wait_ms,
             call.query().integer_or("timeout_ms", kWaitDefault.count(), {.min = 0}));
  return std::min(Millis(wait_ms), media::kWaitMax);
}

Status ask_as_client(const Api& api, const policy::Act& act, const users::Session* session) {
  if (session == nullptr) return api.ask(act, policy::Client(), {});
  const policy::Account account{.guest = session->guest, .administrator = session->admin};
  return api.ask(act, policy::Client{session->user, session->device}, {.account = account});
}

// https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mediadownloadservernamemediaid
Error download_error(Error error) {
  if (error.code == ErrorCode::kTooLarge)
    return fail(ErrorCode::kUnavailable, "M_TOO_LARGE", "Content is too large to serve");
  if (error.code == ErrorCode::kTimeout)
    return fail(ErrorCode::kTimeout, "M_NOT_YET_UPLOADED", "Content has not yet been uploaded");
  return error;
}

}  // namespace polder::media_api
