#include "federation/discovery/probe.h"

namespace polder::discovery {

void probe(const Discovery& discovery, metrics::Sink& sink) {
  metrics::report_cache(sink, "delegations", discovery.figures());
}

}  // namespace polder::discovery
