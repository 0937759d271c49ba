#include "homeserver/server/metrics.h"

namespace polder::server {
namespace {

Task<Result<http::Response>> told(runtime::Runtime& runtime, const metrics::Registry& registry) {
  auto text = co_await runtime::on_pool(runtime, [&registry] { return registry.text(); });
  http::Response response;
  response.headers.set("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
  response.body.push_back(http::slice(std::move(text)));
  co_return response;
}

}  // namespace

void RequestMetrics::expect(const std::vector<const http::Route*>& routes) {
  for (const http::Route* route : routes)
    routes_.emplace(route, std::make_unique<OfRoute>());
}

void RequestMetrics::end(const http::Exchange& exchange, const http::Response& response) {
  const auto found = routes_.find(exchange.route);
  if (found == routes_.end()) return;
  OfRoute& counted = *found->second;
  const auto status_class = static_cast<size_t>(response.status / 100);
  if (status_class < counted.by_class.size()) counted.by_class[status_class].add();
  counted.time.observe(std::chrono::duration<double>(clock_.steady() - exchange.begun).count());
}

void RequestMetrics::probe(metrics::Sink& sink) const {
  for (const auto& [route, counted] : routes_) {
    const metrics::Labels labels = {{"method", std::string(http::to_string(route->method))},
                                    {"route", std::string(route->path)}};
    uint64_t all = 0;
    for (size_t i = 0; i < counted->by_class.size(); ++i) {
      const uint64_t count = counted->by_class[i].value();
      all += count;
      if (count == 0) continue;
      metrics::Labels with_status = labels;
      with_status.emplace_back("status", std::to_string(i) + "xx");
      sink.counter("polder_requests_total", "Requests answered.", with_status,
                   static_cast<double>(count));
    }
    // Of hundreds of routes most are never asked for.
    if (all > 0) {
      sink.histogram("polder_request_seconds", "Time from a request's head to its answer's.",
                     labels, counted->time);
    }
  }
}

void add_metrics_route(http::Router& router, runtime::Runtime& runtime,
                       const metrics::Registry& registry) {
  http::Route route;
  route.path = "/metrics";
  route.operation = "metrics";
  route.handler = [&runtime, &registry](http::Exchange&) { return told(runtime, registry); };
  router.add(std::move(route));
}

}  // namespace polder::server
