// Who asks, as authentication found out.
#pragma once

#include <string>
#include <variant>

#include "homeserver/base/values/ids.h"
#include "homeserver/users/accounts/session.h"

namespace polder::kit {

// Nobody in particular: an address.
struct Nobody {};

// Another server, by the signature of its request.
struct Server {
  ServerName name;
  std::string text;  // JSON, as it was signed; empty if there is none
};

// An application service, by its token.
struct ApplicationService {
  std::string id;  // of its registration
  UserId user;     // in whose name it asks
};

struct Caller {
  std::variant<Nobody, users::Session, Server, ApplicationService> who;

  const users::Session* session() const { return std::get_if<users::Session>(&who); }
  const Server* server() const { return std::get_if<Server>(&who); }
};

}  // namespace polder::kit
