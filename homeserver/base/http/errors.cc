#include "homeserver/base/http/errors.h"

#include "homeserver/base/http/router.h"

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

struct WireError {
  int status;
  std::string_view errcode;
  std::string_view message;  // into the error
};

WireError on_the_wire(const Error& error) {
  const Wire wire = wire_of(error.code);
  WireError told{wire.status, wire.errcode, error.message};
  if (told.message.starts_with('\x01')) {
    const size_t end = told.message.find('\x01', 1);
    told.errcode = told.message.substr(1, end - 1);
    told.message = told.message.substr(end + 1);
  }
  if (told.status == 500) told.message = "Internal server error";
  return told;
}

}  // namespace

// The errcode travels before the message; on_the_wire() takes it off again.
Error matrix_error(ErrorCode code, std::string_view errcode, std::string_view message) {
  return fail(code, std::string("\x01").append(errcode).append("\x01").append(message));
}

Response to_response(const Error& error) {
  const WireError wire = on_the_wire(error);
  if (wire.status == 429) return limited(kSoon, wire.message);
  return error_response(wire.status, wire.errcode, wire.message);
}

json::Object error_json(const Error& error) {
  const WireError wire = on_the_wire(error);
  return {{"errcode", wire.errcode}, {"error", wire.message}};
}

}  // namespace polder::http
