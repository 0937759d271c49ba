// The port to whoever knows whether somebody is who they say: the table of passwords of this
// server, a directory, an identity provider of the administration. The composition root chooses.
#pragma once

#include <optional>
#include <string>

#include "homeserver/base/runtime/runtime.h"
#include "homeserver/base/values/ids.h"

namespace polder::users {

// What a user proves with.
struct Credential {
  std::string type;            // as clients name it: "m.login.password"
  std::optional<UserId> user;  // whom they say they are; nobody where the secret tells
  std::string secret;
};
inline constexpr const char* kPasswordCredential = "m.login.password";

struct IdentityProof {
  UserId user;               // whom it proves, whoever was named
  bool deactivated = false;  // they cannot enter any more, though
  // Of a password that is kept here: what begins with it ends if it is another by then.
  std::optional<std::string> password_hash = {};
};

// Thread-safe.
class IdentityProvider {
 public:
  virtual ~IdentityProvider() = default;
  // kForbidden: the credential proves nobody. kRateLimited: it was not looked at. kUnsupported for
  // a type that the provider does not know. Any other error says that nobody can tell just now.
  virtual Task<Result<IdentityProof>> check(Credential credential) = 0;
};

}  // namespace polder::users
