#include "homeserver/base/runtime/jobs.h"

namespace polder::runtime {

JobReport& Jobs::of(std::string_view name) {
  auto found = reports_.find(name);
  if (found == reports_.end()) {
    found = reports_.emplace(std::string(name), JobReport()).first;
    found->second.name = name;
  }
  return found->second;
}

void Jobs::began(std::string_view name) {
  const base::Lock lock(mutex_);
  ++of(name).running;
}

void Jobs::ended(std::string_view name, const Status& how, int64_t now_ms) {
  const base::Lock lock(mutex_);
  JobReport& report = of(name);
  --report.running;
  ++report.ended;
  if (how.ok()) return;
  ++report.failed;
  report.last_failure = how.error().message;
  report.last_failed_ms = now_ms;
}

void Jobs::progress(std::string_view name, uint64_t done, uint64_t total) {
  const base::Lock lock(mutex_);
  JobReport& report = of(name);
  report.done = done;
  report.total = total;
}

std::vector<JobReport> Jobs::reports() const {
  const base::Lock lock(mutex_);
  std::vector<JobReport> all;
  for (const auto& [name, report] : reports_)
    all.push_back(report);
  return all;
}

}  // namespace polder::runtime
