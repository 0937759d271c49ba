#include "homeserver/rooms/engine/probe.h"

#include "homeserver/rooms/model/shown_event.h"
#include "homeserver/rooms/write/permission.h"

namespace polder::rooms {

void probe(const RoomEngine& engine, metrics::Sink& sink) {
  const Caches& caches = engine.source().caches;
  metrics::report_cache(sink, "states", caches.nodes.figures());
  metrics::report_cache(sink, "events", caches.events.figures());
  metrics::report_cache(sink, "auth chains", caches.chains.figures());
  metrics::report_cache(sink, "events as shown", caches.shown.figures());
  metrics::report_cache(sink, "resolutions", caches.resolutions.figures());
  for (const policy::Rule& rule : policy::rules()) {
    sink.counter("polder_policy_refusals_total", "Acts in rooms that the policy refused, by rule.",
                 {{"rule", std::string(rule.name)}},
                 static_cast<double>(engine.writer.audit().refusals(rule.name)));
  }
}

}  // namespace polder::rooms
