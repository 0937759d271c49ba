// One user of a homeserver, over nothing but the client-server API.
#pragma once

#include <string>

#include "homeserver/base/egress/url.h"
#include "homeserver/base/http/client.h"
#include "homeserver/base/json/value.h"

namespace polder::load {

// Where the homeserver is: its base URL, and the address that its host's name leads to.
struct Target {
  egress::Url url;
  std::string address;
};

// The path of something of a room.
std::string room_path(const std::string& room, std::string_view rest);

// The transport and the target outlive it.
class Session {
 public:
  Session(http::Transport& transport, const Target& target)
      : transport_(&transport), target_(&target) {}

  // Becomes a new user, by registration without any proof of who it is.
  // https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3register
  Task<Status> register_user(std::string name);
  // As the homeserver spells it.
  const std::string& user_id() const { return user_id_; }
  std::string server_name() const { return user_id_.substr(user_id_.find(':') + 1); }

  // A room that anybody may join; gives its id.
  Task<Result<std::string>> create_room();
  // By way of the server, if one is named.
  Task<Status> join(std::string room, std::string via = "");
  // Gives the event id.
  Task<Result<std::string>> send(std::string room, std::string transaction, std::string text);

  // The body of a 200 answer; kRateLimited for 429, kInternal for any other answer, else the
  // transport's errors.
  Task<Result<std::string>> fetch(http::Method method, std::string target, std::string body = "");
  Task<Result<json::Object>> call(http::Method method, std::string target, std::string body = "");

 private:
  http::Transport* transport_;
  const Target* target_;
  std::string token_, user_id_;
};

Result<json::Object> parse_answer(std::string_view body);

}  // namespace polder::load
