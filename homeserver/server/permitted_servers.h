// Other servers as the policy lets this one talk to them.
#pragma once

#include "federation/transport/transport.h"
#include "homeserver/protocol/policy/decide.h"

namespace polder::server {

// Asks the policy before every request. Thread-safe, as what it is made of.
class PermittedServers final : public transport::Servers {
 public:
  // `off`: no other server is talked to.
  PermittedServers(std::unique_ptr<transport::Servers> servers, ServerName own_name, bool off,
                   policy::Ask ask)
      : servers_(std::move(servers)),
        own_name_(std::move(own_name)),
        off_(off),
        ask_(std::move(ask)) {}

  Task<Result<http::ClientResponse>> call(ServerName server, transport::Call call) override;
  Millis back_off(const ServerName& server) const override { return servers_->back_off(server); }
  void heard_from(const ServerName& server) override { servers_->heard_from(server); }

 private:
  const std::unique_ptr<transport::Servers> servers_;
  const ServerName own_name_;
  const bool off_;
  const policy::Ask ask_;
};

}  // namespace polder::server
