// The port to whoever knows whether somebody has completed a stage: a password, a token, or an
// identity provider of the administration. The composition root chooses.
#pragma once

#include <optional>
#include <string_view>

#include "homeserver/base/json/value.h"
#include "homeserver/base/runtime/runtime.h"
#include "homeserver/base/values/ids.h"

namespace polder::users {

// Why an attempt was not successful, although "the client may make a second attempt": with an
// errcode. Nothing if it was.
using Refusal = std::optional<Error>;

// Thread-safe.
class Stage {
 public:
  virtual ~Stage() = default;
  virtual std::string_view type() const = 0;  // as clients name it
  // What `auth` shows for the user who asks; nobody at a registration. An error ends the request
  // "for a reason other than authentication": it was not looked at, or makes no sense.
  virtual Task<Result<Refusal>> attempt(std::optional<UserId> user, json::Object auth) = 0;
};

}  // namespace polder::users
