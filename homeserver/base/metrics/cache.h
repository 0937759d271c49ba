// What is told of a cache, the same of each.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "homeserver/base/metrics/metrics.h"

namespace polder::metrics {

// Kept by the cache, under the lock that it takes anyway.
struct CacheFigures {
  uint64_t hits = 0;
  uint64_t misses = 0;
  uint64_t evictions = 0;  // entries that made room
  uint64_t entries = 0;
  std::optional<uint64_t> bytes = {};  // if the cache knows

  void count(bool hit) { ++(hit ? hits : misses); }
  CacheFigures& operator+=(const CacheFigures& more);
};

void report_cache(Sink& sink, std::string_view name, const CacheFigures& figures);

}  // namespace polder::metrics
