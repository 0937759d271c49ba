#include "bench/load/stage.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "homeserver/base/json/write.h"
#include "homeserver/base/runtime/sync.h"

namespace polder::load {
namespace {

struct Progress {
  size_t next = 0, count = 0;
};

Task<void> work_on(Progress& progress, const Work& work) {
  while (progress.next < progress.count) {
    const Status done = co_await work(progress.next++);
    if (!done.ok()) give_up(done.error());
  }
}

json::Value rounded(double value) {
  return json::Number{fmt::format("{:.3f}", value)};
}

json::Value whole(uint64_t value) {
  return static_cast<int64_t>(value);
}

double mebibytes(uint64_t bytes) {
  return static_cast<double>(bytes) / (1 << 20);
}

}  // namespace

void give_up(const Error& error) {
  std::fprintf(stderr, "polder_load: %s\n", error.message.c_str());
  std::_Exit(1);
}

Task<void> for_each(runtime::Runtime& runtime, size_t count, size_t at_once, Work work) {
  Progress progress{.count = count};
  runtime::TaskGroup group(runtime);
  for (size_t i = 0; i < std::min(count, at_once); ++i) {
    group.spawn(runtime.shard(runtime.current_shard()), "load worker", work_on(progress, work));
  }
  co_await group.wait_all();
}

Task<Result<std::vector<Session>>> register_users(Stage& stage, const Target& target,
                                                  std::string name, size_t count) {
  std::vector<Session> users(count, Session(stage.transport, target));
  co_await for_each(stage.runtime, count, kSetUpAtOnce, [&](size_t i) {
    return users[i].register_user(stage.prefix + name + std::to_string(i));
  });
  co_return users;
}

// https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidjoined_members
Task<Status> check_members(Session& user, std::string room, std::vector<std::string> expected) {
  POLDER_CO_TRY(const json::Object answer,
                co_await user.call(http::Method::kGet, room_path(room, "/joined_members")));
  std::vector<std::string> members;
  if (const json::Object* joined = answer.find_object("joined")) {
    for (const auto& [member, profile] : *joined)
      members.push_back(member);
  }
  std::ranges::sort(members);
  std::ranges::sort(expected);
  if (members != expected) {
    co_return fail(ErrorCode::kInternal,
                   fmt::format("{} members of {}, instead of the {} who joined", members.size(),
                               room, expected.size()));
  }
  co_return Status();
}

std::string Report::json() const {
  const double seconds = std::chrono::duration<double>(measured).count();
  const auto ms = [&](double part) {
    if (latencies.empty()) return rounded(0);
    const auto place = static_cast<size_t>(part * static_cast<double>(latencies.size()));
    const auto latency = latencies[std::min(place, latencies.size() - 1)];
    return rounded(std::chrono::duration<double, std::milli>(latency).count());
  };
  json::Object shape_object;
  for (const auto& [name, value] : shape)
    shape_object.set(name, whole(value));
  return json::write(json::Object{
      {"workload", workload},
      {"shape", std::move(shape_object)},
      {"unit", unit},
      {"count", whole(count)},
      {"checked", whole(checked)},
      {"seconds", rounded(seconds)},
      {"per_second", rounded(static_cast<double>(count) / seconds)},
      {"p50_ms", ms(0.5)},
      {"p95_ms", ms(0.95)},
      {"p99_ms", ms(0.99)},
      {"max_ms", ms(1)},
      {"server_cpu_seconds", rounded(server_cpu_seconds)},
      {"server_cpu_us_each", rounded(server_cpu_seconds * 1e6 / static_cast<double>(count))},
      {"server_memory_mib", rounded(mebibytes(server_memory_bytes))},
      {"server_disk_mib", rounded(mebibytes(server_disk_bytes))},
      {"own_cpu_seconds", rounded(own_cpu_seconds)}});
}

Result<Measurement> Measurement::begin(const Stage& stage) {
  Measurement measurement;
  POLDER_TRY(measurement.before_, use_of(stage.server));
  measurement.own_before_ = own_cpu_seconds();
  measurement.begun_ = stage.now();
  return measurement;
}

Result<Report> Measurement::end(const Stage& stage, std::string workload, std::string unit) {
  Report report{.workload = std::move(workload), .unit = std::move(unit)};
  report.measured = stage.now() - begun_;
  report.own_cpu_seconds = own_cpu_seconds() - own_before_;
  POLDER_TRY(const Use after, use_of(stage.server));
  report.server_cpu_seconds = after.cpu_seconds - before_.cpu_seconds;
  report.server_memory_bytes = after.memory_bytes;
  report.server_disk_bytes = after.disk_bytes;
  report.count = latencies_.size();
  report.latencies = std::move(latencies_);
  std::ranges::sort(report.latencies);
  if (report.count == 0) {
    return fail(ErrorCode::kInternal, report.workload + ": nothing was done in the time");
  }
  return report;
}

}  // namespace polder::load
