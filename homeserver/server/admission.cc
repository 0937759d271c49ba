#include "homeserver/server/admission.h"

#include "homeserver/base/http/rate_limits.h"

namespace polder::server {
namespace {

constexpr Millis kComeBack{5'000};
constexpr std::chrono::seconds kToldEvery{60};

bool always_taken(http::Resource resource) {
  return resource == http::Resource::kHealth || resource == http::Resource::kMetrics ||
         resource == http::Resource::kAdmin;
}

bool only_reads(http::Method method) {
  return method == http::Method::kGet || method == http::Method::kHead;
}

}  // namespace

Admission::Admission(const Clock& clock, Log& log, std::vector<RequestQueue> queues)
    : clock_(clock), log_(log), queues_(std::move(queues)), refusals_(queues_.size()) {}

std::optional<http::Response> Admission::refuse(const http::Exchange& exchange) {
  if (always_taken(exchange.route->resource)) return std::nullopt;
  for (size_t i = 0; i < queues_.size(); ++i) {
    const RequestQueue& queue = queues_[i];
    if (queue.writers_only && only_reads(exchange.request.method)) continue;
    const size_t waiting = queue.waiting();
    if (waiting <= queue.max) continue;
    refusals_[i].add();
    tell(queue, waiting);
    http::Response response = http::limited(kComeBack, "The server has too much to do");
    response.status = 503;
    return response;
  }
  return std::nullopt;
}

void Admission::tell(const RequestQueue& queue, size_t waiting) {
  {
    const base::Lock lock(mutex_);
    const auto now = clock_.steady();
    if (told_ && now - *told_ < kToldEvery) return;
    told_ = now;
  }
  log_.warning("overloaded", {{"queue", queue.name}, {"waiting", waiting}, {"max", queue.max}});
}

void Admission::probe(metrics::Sink& sink) const {
  for (size_t i = 0; i < queues_.size(); ++i) {
    sink.counter(
        "polder_overload_refusals_total", "Requests refused because a queue was about to be full.",
        {{"queue", std::string(queues_[i].name)}}, static_cast<double>(refusals_[i].value()));
  }
}

}  // namespace polder::server
