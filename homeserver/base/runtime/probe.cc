#include "homeserver/base/runtime/probe.h"

namespace polder::runtime {
namespace {

constexpr std::pair<Lane, const char*> kNamedLanes[] = {{Lane::kRead, "read"},
                                                        {Lane::kShort, "short"},
                                                        {Lane::kLong, "long"},
                                                        {Lane::kCommit, "commit"}};

}  // namespace

void probe(Runtime& runtime, metrics::Sink& sink) {
  for (const auto& [lane, name] : kNamedLanes) {
    sink.gauge("polder_lane_backlog", "Work that waits for a thread of the lane.", {{"lane", name}},
               static_cast<double>(runtime.backlog(lane)));
    const Runtime& told = runtime;
    sink.histogram("polder_lane_wait_seconds", "How long work waited for a thread of the lane.",
                   {{"lane", name}}, told.waits(lane));
  }
  sink.counter("polder_disk_misuses_total",
               "Uses of the disk where nobody may wait for it: these are faults.",
               {{"where", "shard"}}, static_cast<double>(runtime.disk_misuses().on_shards()));
  sink.counter("polder_disk_misuses_total",
               "Uses of the disk where nobody may wait for it: these are faults.",
               {{"where", "lock"}}, static_cast<double>(runtime.disk_misuses().under_locks()));
  for (const JobReport& job : runtime.jobs().reports()) {
    const metrics::Labels labels = {{"job", job.name}};
    sink.gauge("polder_jobs_running", "Background work under way, by name.", labels,
               static_cast<double>(job.running));
    sink.counter("polder_jobs_ended_total", "Background work that ended.", labels,
                 static_cast<double>(job.ended));
    sink.counter("polder_jobs_failed_total", "Background work that failed.", labels,
                 static_cast<double>(job.failed));
  }
}

}  // namespace polder::runtime
