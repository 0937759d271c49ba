// Background work by name: what is under way, how it goes, and having it stop.
#include "homeserver/api/admin/api.h"
#include "homeserver/api/kit/operations.h"
#include "homeserver/api/kit/respond.h"

namespace polder::admin_api {
namespace {

using http::Method;
using http::Response;
using kit::Call;
using kit::ok_json;
using runtime::JobReport;

using Operation = kit::Operation<const Api>;

std::string_view state_of(const JobReport& job) {
  if (job.stopping) return "stopping";
  return job.running > 0 ? "running" : "ended";
}

json::Object told(const JobReport& job) {
  const auto number = [](uint64_t value) { return static_cast<int64_t>(value); };
  json::Object object{{"name", job.name},
                      {"state", std::string(state_of(job))},
                      {"can_stop", job.can_stop},
                      {"running", number(job.running)},
                      {"ended", number(job.ended)},
                      {"failures", number(job.failed)},
                      {"started_ts", job.started_ms}};
  if (job.total > 0) {
    object.set("progress", json::Object{{"done", number(job.done)}, {"total", number(job.total)}});
  }
  if (job.failed > 0) {
    object.set("last_error", job.last_failure);
    object.set("last_failed_ts", job.last_failed_ms);
  }
  return object;
}

Task<Result<Response>> jobs(const Api& api, Call&) {
  json::Array all;
  for (const JobReport& job : api.runtime.jobs().reports())
    all.emplace_back(told(job));
  co_return ok_json({{"jobs", std::move(all)}});
}

// Asked before the act is put on record as permitted: one that cannot happen is none.
Status stoppable(const Api& api, std::string_view name) {
  for (const JobReport& job : api.runtime.jobs().reports()) {
    if (job.name != name || job.running == 0) continue;
    if (job.can_stop) return {};
    return fail(ErrorCode::kInvalid, "M_UNRECOGNIZED", "this job cannot be stopped");
  }
  return fail(ErrorCode::kNotFound, "no such job is under way");
}

Task<Result<Response>> stop_job(const Api& api, Call& call) {
  const std::string name(call.path("name"));
  const UserId user = call.session().user;
  POLDER_CO_CHECK(stoppable(api, name));
  const policy::Act act{.point = policy::Point::kStopJob, .target = name};
  POLDER_CO_CHECK(co_await api.writer.permit_act(act, policy::Administrator{user}, user));
  POLDER_CO_CHECK(api.runtime.jobs().stop(name));
  api.runtime.log().info("job_stopping", {{"job", name}, {"by", user}});
  co_return kit::empty_json();
}

constexpr Operation kJobOperations[] = {
    {"admin.jobs",
     Method::kGet,
     "/_polder/admin/v1/jobs",
     jobs,
     {.authentication = http::Authentication::kAdmin}},
    {"admin.stopJob",
     Method::kPost,
     "/_polder/admin/v1/jobs/{name}/stop",
     stop_job,
     {.authentication = http::Authentication::kAdmin}},
};

}  // namespace

void add_job_routes(http::Router& router, const Api& api) {
  kit::add_operations(router, api.runtime, api, std::span<const Operation>(kJobOperations));
}

}  // namespace polder::admin_api
