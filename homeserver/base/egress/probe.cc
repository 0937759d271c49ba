#include "homeserver/base/egress/probe.h"

namespace polder::egress {
namespace {

constexpr std::pair<Cause, const char*> kNamedCauses[] = {{Cause::kUser, "user"},
                                                          {Cause::kRooms, "rooms"},
                                                          {Cause::kStranger, "stranger"},
                                                          {Cause::kSender, "sender"},
                                                          {Cause::kMedia, "media"}};
static_assert(std::size(kNamedCauses) == kCauses);

void probe_outcomes(const EgressStats& stats, const char* cause, metrics::Sink& sink) {
  const std::pair<const char*, const metrics::Counter&> outcomes[] = {
      {"answered", stats.answered},   {"no_slot", stats.no_slot},
      {"forbidden", stats.forbidden}, {"no_address", stats.no_address},
      {"timed_out", stats.timed_out}, {"failed", stats.failed}};
  for (const auto& [outcome, count] : outcomes) {
    sink.counter("polder_egress_requests_total", "Requests to others, by cause and outcome.",
                 {{"cause", cause}, {"outcome", outcome}}, static_cast<double>(count.value()));
  }
}

void probe_look_ups(const CheckedEgress& egress, Cause cause, const char* name,
                    metrics::Sink& sink) {
  const LookUpStats& stats = egress.look_up_stats(cause);
  const std::pair<const char*, const metrics::Counter&> outcomes[] = {{"answered", stats.answered},
                                                                      {"none", stats.none},
                                                                      {"failed", stats.failed},
                                                                      {"no_slot", stats.no_slot}};
  for (const auto& [outcome, count] : outcomes) {
    sink.counter("polder_look_ups_total", "Look-ups of names, by cause and outcome.",
                 {{"cause", name}, {"outcome", outcome}}, static_cast<double>(count.value()));
  }
  sink.gauge("polder_look_ups_under_way", "Look-ups that have their slot.", {{"cause", name}},
             static_cast<double>(egress.look_ups().under_way(cause)));
  sink.gauge("polder_look_ups_in_line", "Look-ups that wait for a slot.", {{"cause", name}},
             static_cast<double>(egress.look_ups().in_line(cause)));
}

}  // namespace

void probe(const CheckedEgress& egress, metrics::Sink& sink) {
  metrics::report_cache(sink, "names of hosts", egress.resolver().figures());
  for (const auto& [cause, name] : kNamedCauses) {
    const metrics::Labels labels = {{"cause", name}};
    const auto number = [](size_t value) { return static_cast<double>(value); };
    probe_outcomes(egress.stats(cause), name, sink);
    probe_look_ups(egress, cause, name, sink);
    sink.histogram("polder_egress_seconds", "Time of requests to others, waiting included.", labels,
                   egress.stats(cause).time);
    sink.gauge("polder_egress_under_way", "Requests that have their slot.", labels,
               number(egress.slots().under_way(cause)));
    sink.gauge("polder_egress_in_line", "Requests that wait for a slot.", labels,
               number(egress.slots().in_line(cause)));
    sink.gauge("polder_egress_held_bytes", "Bytes of answers that are held.", labels,
               number(egress.slots().held(cause)));
  }
}

}  // namespace polder::egress
