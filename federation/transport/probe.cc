#include "federation/transport/probe.h"

namespace polder::transport {

void probe(const NetworkServers& servers, metrics::Sink& sink) {
  sink.gauge("polder_servers_backed_off", "Servers that failed and are left in peace for now.", {},
             static_cast<double>(servers.backed_off()));
}

}  // namespace polder::transport
