// Background work as administrators see it.
#include "homeserver/server/testing/homeserver.h"
#include "storage/stores/audit/audit_rows.h"

namespace polder::server {
namespace {

constexpr const char* kJobs = "/_polder/admin/v1/jobs";

class JobRoutesTest : public HomeserverTest {
 protected:
  json::Object job(const std::string& name) {
    const Answer answer = call("GET", kJobs, admin_);
    EXPECT_EQ(answer.status, 200);
    for (const json::Value& told : *answer.body.as_object()->find_array("jobs")) {
      if (*told.as_object()->find_string("name") == name) return *told.as_object();
    }
    return {};
  }
  Answer stop_job(const std::string& name) {
    return call("POST", std::string(kJobs) + "/" + base::percent_encode(name) + "/stop", admin_);
  }

  const std::string admin_ = admin_token();
};

Task<Status> fails() {
  co_return fail(ErrorCode::kUnavailable, "nobody there");
}

Task<void> counts(runtime::Runtime& runtime) {
  runtime.jobs().can_stop("count");
  for (uint64_t i = 0; co_await runtime::sleep_unless_stopped(runtime, "count", Millis(1000)); ++i)
    runtime.jobs().progress("count", i, 1000);
}

Task<void> sleeps(runtime::Runtime& runtime) {
  co_await runtime::sleep_for(runtime, Millis(3'600'000));
}

TEST_F(JobRoutesTest, OnlyAdministratorsSeeAndStopThem) {
  const std::string alice = join_token("alice");
  EXPECT_EQ(call("GET", kJobs, alice).status, 403);
  EXPECT_EQ(call("GET", kJobs).status, 401);
  EXPECT_EQ(call("POST", std::string(kJobs) + "/count/stop", alice).status, 403);
}

TEST_F(JobRoutesTest, StateProgressAndFailuresAreTold) {
  runtime::spawn(*runtime_, runtime_->shard(0), "failing", fails());
  runtime::spawn(*runtime_, runtime_->shard(0), "count", counts(*runtime_));
  simulation_->run_for(Millis(5'500));
  const json::Object failing = job("failing");
  EXPECT_EQ(*failing.find_string("state"), "ended");
  EXPECT_EQ(failing.find_int("failures"), 1);
  EXPECT_EQ(*failing.find_string("last_error"), "nobody there");
  const json::Object count = job("count");
  EXPECT_EQ(*count.find_string("state"), "running");
  EXPECT_EQ(*json::at(count, {"progress", "done"})->as_int(), 4);
  EXPECT_EQ(*json::at(count, {"progress", "total"})->as_int(), 1000);
  EXPECT_GT(count.find_int("started_ts").value_or(0), 0);
}

TEST_F(JobRoutesTest, AJobThatLooksIsStopped) {
  runtime::spawn(*runtime_, runtime_->shard(0), "count", counts(*runtime_));
  simulation_->run_for(Millis(1'500));
  EXPECT_EQ(stop_job("count").status, 200);
  EXPECT_EQ(*job("count").find_string("state"), "stopping");
  simulation_->run_for(Millis(11'000));
  EXPECT_EQ(*job("count").find_string("state"), "ended");
  EXPECT_EQ(stop_job("count").status, 404);
}

TEST_F(JobRoutesTest, AJobThatDoesNotLookIsNot) {
  runtime::spawn(*runtime_, runtime_->shard(0), "sleeper", sleeps(*runtime_));
  EXPECT_EQ(stop_job("sleeper").status, 400);
  EXPECT_EQ(stop_job("unknown").status, 404);
  EXPECT_EQ(*job("sleeper").find_string("state"), "running");
  EXPECT_TRUE(stores::read_audit(*database_->snapshot(), 0, 10)->empty())
      << "what cannot be stopped was not permitted to be";
}

TEST_F(JobRoutesTest, WhoStopsOneIsOnRecordFirst) {
  runtime::spawn(*runtime_, runtime_->shard(0), "count", counts(*runtime_));
  EXPECT_EQ(stop_job("count").status, 200);
  const auto records = *stores::read_audit(*database_->snapshot(), 0, 10);
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].act, "stop_job");
  EXPECT_EQ(records[0].target, "count");
  EXPECT_EQ(records[0].actor, "@root:own");
  EXPECT_TRUE(records[0].permitted);
}

}  // namespace
}  // namespace polder::server
