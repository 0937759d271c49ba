// From a server's name to where it is reached.
// https://spec.matrix.org/v1.19/server-server-api/#resolving-server-names
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "homeserver/base/egress/egress.h"
#include "homeserver/base/metrics/cache.h"
#include "homeserver/base/runtime/runtime.h"
#include "homeserver/base/values/ids.h"
#include "homeserver/base/values/mutex.h"

namespace polder::discovery {

// Where to connect, and as whom the other side must present itself.
struct Destination {
  std::string host;  // name or IP address without brackets
  uint16_t port = 8448;
  std::string tls_name;
  std::string host_header;
  friend bool operator==(const Destination&, const Destination&) = default;
};

// Thread-safe; called on shards. What it was made of outlives it.
class Discovery {
 public:
  Discovery(runtime::Runtime& runtime, egress::Egress& egress)
      : runtime_(runtime), egress_(egress) {}

  // In the order in which to try them; at least one. kUnavailable if the server says that it offers
  // no service; kTimeout if finding out takes longer; kRateLimited as of egress.
  Task<Result<std::vector<Destination>>> resolve(ServerName server, egress::Demand demand,
                                                 Millis timeout);

  // Of the delegations that are remembered. From any thread.
  metrics::CacheFigures figures() const;

 private:
  struct WellKnown {
    std::optional<ServerName> delegated;  // nothing: no valid answer
    std::chrono::nanoseconds expires{0};
    int failures = 0;  // in a row
  };

  // How, and until when, something is found out.
  struct Search {
    egress::Demand demand;
    std::chrono::nanoseconds deadline{0};
  };
  Task<Result<std::optional<ServerName>>> well_known(std::string host, Search search);
  Task<Result<http::ClientResponse>> fetch_well_known(std::string host, Search search);
  void remember(const std::string& host, std::optional<ServerName> delegated,
                std::chrono::seconds keep);
  Task<Result<std::vector<Destination>>> by_services(std::string host, Search search);

  runtime::Runtime& runtime_;
  egress::Egress& egress_;
  mutable base::Mutex mutex_;
  metrics::CacheFigures figures_ GUARDED_BY(mutex_);
  std::map<std::string, WellKnown, std::less<>> well_knowns_ GUARDED_BY(mutex_);
};

}  // namespace polder::discovery
