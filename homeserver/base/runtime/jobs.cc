#include "homeserver/base/runtime/jobs.h"

namespace polder::runtime {
namespace {

void note_failure(JobReport& report, const Error& why, int64_t now_ms) {
  ++report.failed;
  report.last_failure = why.message;
  report.last_failed_ms = now_ms;
}

}  // namespace

JobReport& Jobs::of(std::string_view name) {
  auto found = reports_.find(name);
  if (found == reports_.end()) {
    found = reports_.emplace(std::string(name), JobReport()).first;
    found->second.name = name;
  }
  return found->second;
}

void Jobs::began(std::string_view name, int64_t now_ms) {
  const base::Lock lock(mutex_);
  JobReport& report = of(name);
  ++report.running;
  report.started_ms = now_ms;
}

void Jobs::ended(std::string_view name, const Status& how, int64_t now_ms) {
  const base::Lock lock(mutex_);
  JobReport& report = of(name);
  --report.running;
  if (report.running == 0) report.can_stop = report.stopping = false;
  ++report.ended;
  if (!how.ok()) note_failure(report, how.error(), now_ms);
}

void Jobs::failed(std::string_view name, const Error& why, int64_t now_ms) {
  const base::Lock lock(mutex_);
  note_failure(of(name), why, now_ms);
}

void Jobs::progress(std::string_view name, uint64_t done, uint64_t total) {
  const base::Lock lock(mutex_);
  JobReport& report = of(name);
  report.done = done;
  report.total = total;
}

void Jobs::can_stop(std::string_view name) {
  const base::Lock lock(mutex_);
  of(name).can_stop = true;
}

bool Jobs::stop_asked(std::string_view name) const {
  const base::Lock lock(mutex_);
  const auto found = reports_.find(name);
  return found != reports_.end() && found->second.stopping;
}

Status Jobs::stop(std::string_view name) {
  const base::Lock lock(mutex_);
  const auto found = reports_.find(name);
  if (found == reports_.end() || found->second.running == 0)
    return fail(ErrorCode::kNotFound, "no such job is under way");
  if (!found->second.can_stop) return fail(ErrorCode::kUnsupported, "this job cannot be stopped");
  found->second.stopping = true;
  return {};
}

std::vector<JobReport> Jobs::reports() const {
  const base::Lock lock(mutex_);
  std::vector<JobReport> all;
  for (const auto& [name, report] : reports_)
    all.push_back(report);
  return all;
}

}  // namespace polder::runtime
