// The one way out (docs/architecture.md, decision 12): every outbound request goes through here.
// Names are resolved, the addresses are checked, and the request goes to the address that was
// checked, so that a second look-up cannot lead elsewhere.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "homeserver/base/egress/resolver.h"
#include "homeserver/base/egress/slots.h"
#include "homeserver/base/http/client.h"
#include "homeserver/base/metrics/metrics.h"
#include "homeserver/base/runtime/runtime.h"

namespace polder::egress {

struct EgressRequest {
  Demand demand{};   // why it is made: what it may take
  std::string host;  // name or IP address (without brackets) to connect to
  uint16_t port = 443;
  bool tls = true;
  std::string tls_name;     // what the certificate must be for; empty: the host
  std::string host_header;  // empty: host and port
  http::Method method = http::Method::kGet;
  std::string target = "/";
  http::Headers headers;
  std::string body;
  // For everything, look-ups, waiting for a slot and redirects included; longer only by what the
  // bytes that moved may take.
  Millis timeout{60'000};
  // Completes the request once there is a slot for it, so that those in line hold nothing; an
  // error ends it.
  std::function<Task<Status>(EgressRequest&)> prepare = {};
  size_t body_max = 10 << 20;                      // bytes of the response's body
  std::shared_ptr<http::BodySink> sink = nullptr;  // as in http::ClientRequest
  int redirects_max = 0;  // followed for GET and HEAD, to https only, without the headers
};

// How requests of one cause ended, and how long they took.
struct EgressStats {
  metrics::Counter answered, no_slot, forbidden, no_address, timed_out, failed;
  metrics::Histogram time;
};

// How look-ups of names ended.
struct LookUpStats {
  metrics::Counter answered, none, failed, no_slot;
};

// Replaced as a whole by simulations and tests. Thread-safe; called on shards.
class Egress {
 public:
  virtual ~Egress() = default;
  // kForbidden if the destination may not be reached, kNotFound if its name has no address,
  // kUnavailable, kTimeout, kTooLarge, kMalformed; kInvalid for what cannot be a request;
  // kRateLimited if there is no slot for it, or none for its answer: that says nothing of the
  // destination.
  virtual Task<Result<http::ClientResponse>> send(EgressRequest request) = 0;
  // The services of a name, by the steady clock until then. Errors as of the resolver; kTimeout,
  // and kRateLimited if there is no slot for the look-up.
  virtual Task<Result<Services>> services(std::string name, Demand demand,
                                          std::chrono::nanoseconds deadline) = 0;
};

// Over a resolver and a transport, which outlive it.
class CheckedEgress final : public Egress {
 public:
  CheckedEgress(runtime::Runtime& runtime, Resolver& resolver, http::Transport& transport,
                bool deny_private_addresses, const Slots::Shares& shares = kShares,
                const Slots::Shares& look_up_shares = kLookUpShares)
      : runtime_(runtime),
        resolver_(resolver),
        transport_(transport),
        deny_private_(deny_private_addresses),
        slots_(std::make_shared<Slots>(runtime, shares)),
        look_ups_(std::make_shared<Slots>(runtime, look_up_shares)) {}

  Task<Result<http::ClientResponse>> send(EgressRequest request) override;
  Task<Result<Services>> services(std::string name, Demand demand,
                                  std::chrono::nanoseconds deadline) override;
  // For requests from now on. From any thread.
  void set_deny_private_addresses(bool deny) { deny_private_ = deny; }
  const Slots& slots() const { return *slots_; }
  const Slots& look_ups() const { return *look_ups_; }
  const EgressStats& stats(Cause cause) const { return stats_[static_cast<size_t>(cause)]; }
  const Resolver& resolver() const { return resolver_; }
  const LookUpStats& look_up_stats(Cause cause) const {
    return look_up_stats_[static_cast<size_t>(cause)];
  }

 private:
  template <class T>
  Task<Result<T>> look_up(std::string name, Demand demand, std::chrono::nanoseconds deadline,
                          Task<Result<T>> (Resolver::*ask)(std::string));
  Task<Result<std::vector<std::string>>> allowed_addresses(std::string host, Demand demand,
                                                           std::chrono::nanoseconds deadline);
  Task<Result<http::ClientResponse>> follow(EgressRequest request,
                                            std::chrono::nanoseconds deadline);
  Task<Result<http::ClientResponse>> send_once(EgressRequest request,
                                               std::chrono::nanoseconds deadline);
  Task<Result<http::ClientResponse>> send_to(std::string address, EgressRequest& request,
                                             std::chrono::nanoseconds& deadline);

  runtime::Runtime& runtime_;
  Resolver& resolver_;
  http::Transport& transport_;
  std::atomic<bool> deny_private_;
  const std::shared_ptr<Slots> slots_;
  const std::shared_ptr<Slots> look_ups_;
  std::array<EgressStats, kCauses> stats_;
  std::array<LookUpStats, kCauses> look_up_stats_;
};

}  // namespace polder::egress
