#include "homeserver/users/sessions/probe.h"

namespace polder::users {

void probe(const Sessions& sessions, metrics::Sink& sink) {
  metrics::report_cache(sink, "sessions", sessions.figures());
}

}  // namespace polder::users
