// GET /metrics, on listeners with the resource "metrics": what all probes of the server tell, in
// Prometheus' text format.
#pragma once

#include <array>
#include <map>
#include <memory>

#include "homeserver/base/http/router.h"
#include "homeserver/base/metrics/metrics.h"
#include "homeserver/base/runtime/runtime.h"

namespace polder::server {

// Counts requests and measures their time, by route and status. Thread-safe.
class RequestMetrics {
 public:
  // The clock outlives it.
  explicit RequestMetrics(const Clock& clock) : clock_(clock) {}

  // The routes that there are; before the first request.
  void expect(const std::vector<const http::Route*>& routes);
  // Both of a request that was routed: before all else, and with its answer.
  void begin(http::Exchange& exchange) const { exchange.begun = clock_.steady(); }
  void end(const http::Exchange& exchange, const http::Response& response);
  void probe(metrics::Sink& sink) const;

 private:
  // By hundreds of the status: a route has few that differ within one.
  struct OfRoute {
    std::array<metrics::Counter, 6> by_class;
    metrics::Histogram time;
  };

  const Clock& clock_;
  std::map<const http::Route*, std::unique_ptr<OfRoute>> routes_;
};

// The registry outlives the router.
void add_metrics_route(http::Router& router, runtime::Runtime& runtime,
                       const metrics::Registry& registry);

}  // namespace polder::server
