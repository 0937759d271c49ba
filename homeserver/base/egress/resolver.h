// Names to addresses and services (docs/architecture.md, decision 12).
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "homeserver/base/metrics/cache.h"
#include "homeserver/base/runtime/runtime.h"

namespace polder::egress {

struct Addresses {
  std::vector<std::string> addresses;  // IPv4 and IPv6, the preferred first; at least one
  std::chrono::seconds ttl{0};
};

// One SRV record (RFC 2782).
struct Service {
  uint16_t priority = 0;
  uint16_t weight = 0;
  uint16_t port = 0;
  std::string target;  // "." (here: empty) says that there is no such service
};
struct Services {
  std::vector<Service> services;  // at least one
  std::chrono::seconds ttl{0};
};

// kNotFound if the name has no such record, kUnavailable if nobody could say, kRateLimited if this
// server asked nobody, because it asks too much already. Thread-safe; called on shards.
class Resolver {
 public:
  virtual ~Resolver() = default;
  // Of a host name; an IP address gives itself.
  virtual Task<Result<Addresses>> addresses(std::string host) = 0;
  // Of a name such as "_matrix-fed._tcp.example.org".
  virtual Task<Result<Services>> services(std::string name) = 0;
  // Of what it remembers; nothing of a resolver that does not. From any thread.
  virtual metrics::CacheFigures figures() const { return {}; }
  // Before the runtime ends, from any thread: nothing is answered any more.
  virtual void stop() {}
};

// Asks /etc/hosts and the system's name servers, on a thread of its own.
Result<std::unique_ptr<Resolver>> make_system_resolver();

// Remembers what another resolver says, for its time to live (at most an hour) and failures for a
// moment; not what nobody was asked. Bounded. Both outlive it.
std::unique_ptr<Resolver> make_caching_resolver(Resolver& resolver, const Clock& clock);

}  // namespace polder::egress
