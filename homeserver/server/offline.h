// The network of a program that talks to nobody: tools that open the database.
#pragma once

#include "federation/transport/transport.h"
#include "homeserver/base/egress/resolver.h"
#include "homeserver/base/http/client.h"

namespace polder::server {

class OfflineTransport final : public http::Transport {
 public:
  Task<Result<http::ClientResponse>> send(http::ClientRequest request) override;
};

class OfflineResolver final : public egress::Resolver {
 public:
  Task<Result<egress::Addresses>> addresses(std::string host) override;
  Task<Result<egress::Services>> services(std::string name) override;
};

// The other servers of a server whose federation is off.
class NoServers final : public transport::Servers {
 public:
  Task<Result<http::ClientResponse>> call(ServerName server, transport::Call call) override;
  Millis back_off(const ServerName&) const override { return Millis(0); }
  void heard_from(const ServerName&) override {}
};

}  // namespace polder::server
