#include "homeserver/users/probe.h"

namespace polder::users {

void probe(const Users& users, metrics::Sink& sink) {
  metrics::report_cache(sink, "sessions", users.session_figures());
}

}  // namespace polder::users
