#include "homeserver/http/errors.h"

#include "homeserver/http/router.h"

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

}  // namespace

// The errcode travels before the message; to_response() takes it off again.
Error matrix_error(ErrorCode code, std::string_view errcode, std::string_view message) {
  return fail(code, std::string("\x01").append(errcode).append("\x01").append(message));
}

Response to_response(const Error& error) {
  Wire wire = wire_of(error.code);
  std::string_view message = error.message;
  if (message.starts_with('\x01')) {
    const size_t end = message.find('\x01', 1);
    wire.errcode = message.substr(1, end - 1);
    message = message.substr(end + 1);
  }
  if (wire.status == 500) message = "Internal server error";
  return error_response(wire.status, wire.errcode, message);
}

}  // namespace polder::http
