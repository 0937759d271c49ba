#include "homeserver/base/metrics/cache.h"

namespace polder::metrics {

CacheFigures& CacheFigures::operator+=(const CacheFigures& more) {
  hits += more.hits;
  misses += more.misses;
  evictions += more.evictions;
  entries += more.entries;
  if (more.bytes) bytes = bytes.value_or(0) + *more.bytes;
  return *this;
}

void report_cache(Sink& sink, std::string_view name, const CacheFigures& figures) {
  const Labels labels = {{"cache", std::string(name)}};
  const auto number = [](uint64_t value) { return static_cast<double>(value); };
  sink.counter("polder_cache_hits_total", "Look-ups that found what they sought, by cache.", labels,
               number(figures.hits));
  sink.counter("polder_cache_misses_total", "Look-ups that did not, by cache.", labels,
               number(figures.misses));
  sink.counter("polder_cache_evictions_total", "Entries that made room for others, by cache.",
               labels, number(figures.evictions));
  sink.gauge("polder_cache_entries", "Entries held, by cache.", labels, number(figures.entries));
  if (figures.bytes)
    sink.gauge("polder_cache_bytes", "Bytes held, by cache.", labels, number(*figures.bytes));
}

}  // namespace polder::metrics
