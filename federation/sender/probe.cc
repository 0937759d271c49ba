#include "federation/sender/probe.h"

namespace polder::sender {

void probe(const Sender& sender, metrics::Sink& sink) {
  const SenderStats& stats = sender.stats();
  const auto gauge = [&](const char* name, const char* help, uint64_t value) {
    sink.gauge(name, help, {}, static_cast<double>(value));
  };
  gauge("polder_sender_destinations", "Servers with something to send or to remember.",
        stats.destinations);
  gauge("polder_sender_destinations_backed_off", "Of these, left in peace for now.",
        stats.backed_off);
  gauge("polder_sender_destinations_behind", "Of these, those whose events are to be read again.",
        stats.behind);
  gauge("polder_sender_queued_pdus", "Events in queues of destinations.", stats.queued_pdus);
  gauge("polder_sender_queued_edus", "Ephemeral data in queues of destinations.",
        stats.queued_edus);
  const std::pair<const char*, const metrics::Counter&> outcomes[] = {
      {"delivered", stats.delivered},
      {"refused", stats.refused},
      {"given_up", stats.given_up},
      {"unanswered", stats.unanswered}};
  for (const auto& [outcome, count] : outcomes) {
    sink.counter("polder_sender_transactions_total", "Transactions sent to other servers.",
                 {{"outcome", outcome}}, static_cast<double>(count.value()));
  }
  sink.counter("polder_sender_pdus_total", "Events that were delivered.", {},
               static_cast<double>(stats.pdus.value()));
  sink.counter("polder_sender_edus_total", "Ephemeral data that were delivered.", {},
               static_cast<double>(stats.edus.value()));
}

}  // namespace polder::sender
