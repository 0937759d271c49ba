// One user of a homeserver, over nothing but the client-server API.
#pragma once

#include <string>

#include "homeserver/egress/url.h"
#include "homeserver/http/client.h"
#include "homeserver/json/value.h"

namespace polder::load {

// Where the homeserver is: its base URL, and the address that its host's name leads to.
struct Target {
  egress::Url url;
  std::string address;
};

// The transport outlives it.
class Session {
 public:
  Session(http::Transport& transport, const Target& target)
      : transport_(transport), target_(target) {}

  // Becomes a new user, by registration without any proof of who it is.
  // https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3register
  Task<Status> register_user(std::string name);

  // The body of a 200 answer; kRateLimited for 429, kInternal for any other answer, else the
  // transport's errors.
  Task<Result<json::Object>> call(http::Method method, std::string target, std::string body = "");

 private:
  http::Transport& transport_;
  const Target& target_;
  std::string token_;
};

}  // namespace polder::load
