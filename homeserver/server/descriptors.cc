#include "homeserver/server/descriptors.h"

#include <sys/resource.h>

#include <algorithm>

namespace polder::server {
namespace {

constexpr uint64_t kTablesMax = 512;
constexpr uint64_t kOutboundMax = 2048;  // connections to others
constexpr uint64_t kRest = 96;  // write logs, listeners, event queues, files of the media sweep
constexpr uint64_t kPerConnection = 2;
constexpr size_t kConnectionsMin = 16;

}  // namespace

Descriptors share_out(uint64_t limit, size_t connections_wanted) {
  const uint64_t tables = std::clamp<uint64_t>(limit / 4, 64, kTablesMax);
  const uint64_t taken = tables + std::min(limit / 8, kOutboundMax) + kRest;
  const uint64_t left = limit > taken ? (limit - taken) / kPerConnection : 0;
  return {limit, static_cast<int>(tables),
          std::clamp<size_t>(left, kConnectionsMin, std::max(connections_wanted, kConnectionsMin))};
}

Descriptors take_descriptors(size_t connections_wanted) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return share_out(0, connections_wanted);
  const rlim_t wanted = kTablesMax + kOutboundMax + kRest + kPerConnection * connections_wanted;
  if (limit.rlim_cur < wanted) {
    rlimit raised = limit;
    raised.rlim_cur = std::min(wanted, limit.rlim_max);
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
  }
  return share_out(limit.rlim_cur, connections_wanted);
}

}  // namespace polder::server
