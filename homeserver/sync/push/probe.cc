#include "homeserver/sync/push/probe.h"

namespace polder::push {

void probe(const Rules& rules, const Counts& counts, metrics::Sink& sink) {
  metrics::tell_cache(sink, "push rules", rules.figures());
  metrics::tell_cache(sink, "judged events", counts.figures());
}

}  // namespace polder::push
