#include "homeserver/sync/classic/probe.h"

namespace polder::sync {
namespace {

void probe(const SyncStats& stats, const char* kind, metrics::Sink& sink) {
  const metrics::Labels labels = {{"kind", kind}};
  const auto number = [](const metrics::Counter& counter) {
    return static_cast<double>(counter.value());
  };
  sink.counter("polder_sync_requests_total", "Requests for /sync, initial and incremental.", labels,
               number(stats.requests));
  sink.counter("polder_sync_looks_total",
               "Looks for changes: a request that waits may look several times.", labels,
               number(stats.looks));
  sink.counter("polder_sync_bytes_total", "Bytes of answers to /sync.", labels,
               number(stats.bytes));
  sink.histogram("polder_sync_seconds", "Time to look for changes and begin the answer.", labels,
                 stats.time);
}

}  // namespace

void probe(const Sync& sync, metrics::Sink& sink) {
  probe(sync.initial(), "initial", sink);
  probe(sync.incremental(), "incremental", sink);
  sink.gauge("polder_sync_waiting", "Requests for /sync under way; most of them wait.", {},
             static_cast<double>(sync.waiting()));
  metrics::report_cache(sink, "filters", sync.filters().figures());
}

}  // namespace polder::sync
