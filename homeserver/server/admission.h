// Whether the server takes one more request: not while the queues that it would wait in are about
// to be full, so that it is refused before it costs anything instead of failing half-way.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "homeserver/base/http/router.h"
#include "homeserver/base/metrics/metrics.h"
#include "homeserver/base/values/environment.h"
#include "homeserver/base/values/mutex.h"

namespace polder::server {

// Something that requests wait in.
struct RequestQueue {
  std::string_view name;
  std::function<size_t()> waiting;  // from any thread; quick
  size_t max = 0;                   // beyond it, no request that would wait in it is taken
  bool writers_only = false;        // nobody who only reads waits in it
};

// Thread-safe.
class Admission {
 public:
  // Clock, log and what the queues refer to outlive it.
  Admission(const Clock& clock, Log& log, std::vector<RequestQueue> queues);

  // A refusal of a request that was routed, or nothing. Health, metrics and what administrators ask
  // for go on.
  std::optional<http::Response> refuse(const http::Exchange& exchange);
  void probe(metrics::Sink& sink) const;

 private:
  void tell(const RequestQueue& queue, size_t waiting);

  const Clock& clock_;
  Log& log_;
  const std::vector<RequestQueue> queues_;
  std::deque<metrics::Counter> refusals_;  // one for each
  base::Mutex mutex_;
  std::optional<std::chrono::nanoseconds> told_ GUARDED_BY(mutex_);
};

}  // namespace polder::server
