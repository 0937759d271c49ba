#include "storage/kv/probe.h"

namespace polder::kv {

void probe(const Database& database, const Committer& committer, metrics::Sink& sink) {
  const CommitterStats& stats = committer.stats();
  const auto number = [](const metrics::Counter& counter) {
    return static_cast<double>(counter.value());
  };
  sink.counter("polder_commit_groups_total", "Groups of batches written, each with one sync.", {},
               number(stats.groups));
  sink.counter("polder_commit_batches_total", "Batches written.", {}, number(stats.batches));
  sink.counter("polder_commit_bytes_total", "Bytes of batches written.", {}, number(stats.bytes));
  sink.counter("polder_commit_failures_total", "Groups that the disk refused.", {},
               number(stats.failed_groups));
  sink.histogram("polder_commit_seconds", "Time to write and sync a group.", {}, stats.write_time);
  sink.gauge("polder_commit_queue_bytes", "Bytes of batches that wait to be written.", {},
             static_cast<double>(committer.queued_bytes()));
  sink.gauge("polder_visible_position", "The last position that is on disk and readable.", {},
             static_cast<double>(committer.visible()));
  sink.gauge("polder_store_read_only", "1 while the disk takes no writes.", {},
             database.read_only() ? 1 : 0);
  for (const StoreFigure& figure : database.figures())
    sink.gauge("polder_store_" + std::string(figure.name), figure.help, {}, figure.value);
}

}  // namespace polder::kv
