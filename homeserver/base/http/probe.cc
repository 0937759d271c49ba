#include "homeserver/base/http/probe.h"

namespace polder::http {

void probe(const Server& server, metrics::Sink& sink) {
  sink.gauge("polder_connections", "Open connections of clients and servers.", {},
             static_cast<double>(server.connections()));
  sink.counter("polder_connections_refused_total", "Connections for which there was no place.", {},
               static_cast<double>(server.refusals()));
  sink.gauge("polder_answer_bytes", "Bytes of answers that wait to be read.", {},
             static_cast<double>(server.answers_held()));
  sink.gauge("polder_body_bytes", "Bytes of requests' bodies in memory.", {},
             static_cast<double>(server.bodies_held()));
}

void probe(const RateLimits& limits, metrics::Sink& sink) {
  for (size_t i = 1; i < kRateClasses; ++i) {
    const auto rate = static_cast<RateClass>(i);
    sink.counter("polder_rate_limited_total", "Requests told to wait, by class.",
                 {{"class", std::string(to_string(rate))}},
                 static_cast<double>(limits.refusals(rate)));
  }
}

}  // namespace polder::http
