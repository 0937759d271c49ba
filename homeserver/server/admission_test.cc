#include "homeserver/server/admission.h"

#include "homeserver/base/http/rate_limits.h"
#include "homeserver/base/runtime/simulated.h"

namespace polder::server {
namespace {

class AdmissionTest : public testing::Test {
 protected:
  std::optional<http::Response> ask(std::string_view path,
                                    http::Method method = http::Method::kGet) {
    http::Route route;
    route.path = path;
    route.resource = http::resource_of(path);
    http::Exchange exchange;
    exchange.request.method = method;
    exchange.route = &route;
    return admission_.refuse(exchange);
  }

  size_t reads_ = 0;
  size_t writes_ = 0;
  const std::unique_ptr<runtime::Simulation> simulation_ = runtime::Simulation::create(1);
  base::NullLog log_;
  Admission admission_{
      simulation_->clock(),
      log_,
      {{"read", [this] { return reads_; }, 10}, {"commit", [this] { return writes_; }, 10, true}}};
};

constexpr const char* kSend = "/_matrix/client/v3/rooms/{roomId}/send/{eventType}/{txnId}";

TEST_F(AdmissionTest, RequestsAreTakenWhileThereIsRoom) {
  reads_ = 10;
  EXPECT_FALSE(ask("/_matrix/client/v3/sync"));
  EXPECT_FALSE(ask(kSend, http::Method::kPut));
}

TEST_F(AdmissionTest, BeyondThatTheyAreToldToComeBack) {
  reads_ = 11;
  for (const char* path : {"/_matrix/client/v3/sync", "/_matrix/federation/v1/state/{roomId}",
                           "/_matrix/media/v3/upload"}) {
    const auto refused = ask(path);
    ASSERT_TRUE(refused) << path;
    EXPECT_EQ(refused->status, 503);
    EXPECT_EQ(refused->headers.find("Retry-After"), "5");
    EXPECT_NE(refused->body.at(0).bytes.find("M_LIMIT_EXCEEDED"), std::string_view::npos);
  }
}

TEST_F(AdmissionTest, HealthMetricsAndAdministratorsGoOn) {
  reads_ = writes_ = 1000;
  EXPECT_FALSE(ask("/health"));
  EXPECT_FALSE(ask("/metrics"));
  EXPECT_FALSE(ask("/_polder/admin/v1/jobs"));
  EXPECT_FALSE(ask("/_synapse/admin/v2/rooms/{roomId}", http::Method::kDelete));
}

TEST_F(AdmissionTest, WhoOnlyReadsDoesNotWaitForWriters) {
  writes_ = 11;
  EXPECT_FALSE(ask("/_matrix/client/v3/sync"));
  EXPECT_TRUE(ask(kSend, http::Method::kPut));
}

}  // namespace
}  // namespace polder::server
