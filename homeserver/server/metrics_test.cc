// What Prometheus is told of a server that was used.
#include "homeserver/server/metrics.h"

#include <gtest/gtest.h>

#include "homeserver/server/testing/homeserver.h"

namespace polder::server {
namespace {

struct Page {
  int status = 0;
  std::string type, text;
};

Task<void> fetch(const http::Router& router, http::Resources served,
                 std::shared_ptr<std::optional<Page>> page) {
  http::Exchange exchange;
  exchange.served = served;
  static_cast<void>(http::parse_target("/metrics", exchange.request));
  http::Response response = co_await router.handle(exchange);
  Page got;
  got.status = response.status;
  got.type = response.headers.find("Content-Type");
  got.text = co_await body_of(response);
  page->emplace(std::move(got));
}

class MetricsTest : public HomeserverTest {
 protected:
  Page metrics(http::Resources served) {
    auto page = std::make_shared<std::optional<Page>>();
    runtime::spawn(*runtime_, runtime_->shard(0), "scrape",
                   fetch(homeserver_->router(), served, page));
    simulation_->run_until([&] { return page->has_value(); }, Millis(10'000));
    return page->value_or(Page());
  }
};

http::Resources only(http::Resource resource) {
  http::Resources resources;
  resources.set(static_cast<size_t>(resource));
  return resources;
}

TEST_F(MetricsTest, RequestsCommitsLanesJobsAndTheProcessAreTold) {
  call("GET", "/_matrix/client/versions");
  call("GET", "/_matrix/client/versions");
  call("GET", "/_matrix/client/v3/account/whoami");
  const Page page = metrics(only(http::Resource::kMetrics));
  EXPECT_EQ(page.status, 200);
  EXPECT_TRUE(page.type.starts_with("text/plain; version=0.0.4")) << page.type;
  for (
      const char* line : {
          R"(polder_requests_total{method="GET",route="/_matrix/client/versions",status="2xx"} 2)",
          R"(polder_requests_total{method="GET",route="/_matrix/client/v3/account/whoami",status="4xx"} 1)",
          R"(polder_request_seconds_count{method="GET",route="/_matrix/client/versions"} 2)",
          R"(polder_lane_backlog{lane="read"} 0)",
          "polder_commit_groups_total ",
          "polder_commit_queue_bytes 0",
          "polder_store_read_only 0",
          R"(polder_jobs_ended_total{job="request"} 3)",
          "process_resident_memory_bytes ",
      })
    EXPECT_NE(page.text.find(std::string("\n") + line), std::string::npos) << line;
}

TEST_F(MetricsTest, SyncsCachesTheSenderAndTheGateAreTold) {
  const std::string token = join_token("alice");
  create_room(token);
  const Answer first = sync(token);
  sync(token, first.text({"next_batch"}));
  const Page page = metrics(only(http::Resource::kMetrics));
  for (const char* line : {
           R"(polder_sync_requests_total{kind="initial"} 1)",
           R"(polder_sync_requests_total{kind="incremental"} 1)",
           R"(polder_sync_seconds_count{kind="initial"} 1)",
           "polder_sync_waiting 0",
           R"(polder_cache_entries{cache="sessions"} 1)",
           R"(polder_cache_hits_total{cache="events"} )",
           R"(polder_cache_misses_total{cache="names of users"} )",
           R"(polder_egress_requests_total{cause="sender",outcome="no_slot"} 0)",
           R"(polder_egress_under_way{cause="rooms"} 0)",
           "polder_sender_queued_pdus 0",
           "polder_servers_backed_off 0",
           R"(polder_policy_refusals_total{rule=")",
           R"(polder_media_files_total{what="uploaded"} 0)",
           R"(polder_lane_wait_seconds_count{lane="read"} 0)",
       })
    EXPECT_NE(page.text.find(std::string("\n") + line), std::string::npos) << line;
  EXPECT_EQ(page.text.find(R"(polder_sync_bytes_total{kind="initial"} 0)"), std::string::npos);
}

TEST_F(MetricsTest, OnlyListenersForMetricsServeThem) {
  for (const http::Resource resource :
       {http::Resource::kClient, http::Resource::kFederation, http::Resource::kMedia,
        http::Resource::kAdmin, http::Resource::kHealth})
    EXPECT_EQ(metrics(only(resource)).status, 404);
}

}  // namespace
}  // namespace polder::server
