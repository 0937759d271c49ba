#include "homeserver/base/values/result.h"

namespace polder::base {

std::string_view to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::kMalformed:
      return "malformed";
    case ErrorCode::kInvalid:
      return "invalid";
    case ErrorCode::kBadType:
      return "bad_type";
    case ErrorCode::kMissing:
      return "missing";
    case ErrorCode::kNotFound:
      return "not_found";
    case ErrorCode::kForbidden:
      return "forbidden";
    case ErrorCode::kUnauthenticated:
      return "unauthenticated";
    case ErrorCode::kExists:
      return "exists";
    case ErrorCode::kTooLarge:
      return "too_large";
    case ErrorCode::kRateLimited:
      return "rate_limited";
    case ErrorCode::kUnsupported:
      return "unsupported";
    case ErrorCode::kUnavailable:
      return "unavailable";
    case ErrorCode::kTimeout:
      return "timeout";
    case ErrorCode::kBadSignature:
      return "bad_signature";
    case ErrorCode::kReadOnly:
      return "read_only";
    case ErrorCode::kCorrupt:
      return "corrupt";
    case ErrorCode::kIo:
      return "io";
    case ErrorCode::kInternal:
      return "internal";
  }
  return "unknown";
}

void internal::move_error(Error* to, Error* from) noexcept {
  ::new (static_cast<void*>(to)) Error(std::move(*from));
}

void internal::copy_error(Error* to, const Error* from) {
  ::new (static_cast<void*>(to)) Error(*from);
}

void internal::destroy_error(Error* error) noexcept {
  error->~Error();
}

}  // namespace polder::base
