#include "homeserver/sync/push/probe.h"

namespace polder::push {

void probe(const Rules& rules, const Counts& counts, metrics::Sink& sink) {
  metrics::report_cache(sink, "push rules", rules.figures());
  metrics::report_cache(sink, "judged events", counts.figures());
}

}  // namespace polder::push
