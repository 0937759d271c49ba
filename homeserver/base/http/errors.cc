#include "homeserver/base/http/errors.h"

#include "homeserver/base/http/router.h"
#include "homeserver/base/json/write.h"

namespace polder::http {
namespace {

struct Wire {
  int status;
  std::string_view errcode;
};

Wire wire_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kMalformed:
      return {400, "M_NOT_JSON"};
    case ErrorCode::kInvalid:
      return {400, "M_INVALID_PARAM"};
    case ErrorCode::kBadType:
      return {400, "M_BAD_JSON"};
    case ErrorCode::kMissing:
      return {400, "M_MISSING_PARAM"};
    case ErrorCode::kNotFound:
      return {404, "M_NOT_FOUND"};
    case ErrorCode::kForbidden:
      return {403, "M_FORBIDDEN"};
    case ErrorCode::kUnauthenticated:
      return {401, "M_UNKNOWN_TOKEN"};
    case ErrorCode::kExists:
      return {409, "M_UNKNOWN"};
    case ErrorCode::kTooLarge:
      return {413, "M_TOO_LARGE"};
    case ErrorCode::kRateLimited:
      return {429, "M_LIMIT_EXCEEDED"};
    case ErrorCode::kUnsupported:
      return {400, "M_UNSUPPORTED_ROOM_VERSION"};
    case ErrorCode::kUnavailable:
      return {502, "M_UNKNOWN"};
    case ErrorCode::kTimeout:
      return {504, "M_UNKNOWN"};
    case ErrorCode::kBadSignature:
      return {400, "M_INVALID_SIGNATURE"};
    case ErrorCode::kReadOnly:
      return {503, "M_UNKNOWN"};
    default:
      return {500, "M_UNKNOWN"};
  }
}

struct WireError {
  int status;
  std::string_view errcode;
  std::string_view message;  // into the error
};

WireError on_the_wire(const Error& error) {
  const Wire wire = wire_of(error.code);
  const std::string_view named = error.errcode.view();
  WireError shown{wire.status, named.empty() ? wire.errcode : named, error.message};
  if (shown.status == 500) shown.message = "Internal server error";
  return shown;
}

}  // namespace

Error with_details(Error error, json::Object details) {
  error.details = std::make_shared<const json::Object>(std::move(details));
  return error;
}

Response to_response(const Error& error) {
  const WireError wire = on_the_wire(error);
  if (wire.status == 429) {
    const auto wait_ms = error.details ? error.details->find_int("retry_after_ms") : std::nullopt;
    return limited(wait_ms ? Millis(*wait_ms) : kSoon, wire.message);
  }
  if (error.details) return Response::json(wire.status, json::write(error_json(error)));
  return error_response(wire.status, wire.errcode, wire.message);
}

json::Object error_json(const Error& error) {
  const WireError wire = on_the_wire(error);
  json::Object object = error.details ? *error.details : json::Object();
  object.set("errcode", wire.errcode);
  object.set("error", wire.message);
  return object;
}

}  // namespace polder::http
