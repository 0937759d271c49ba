#include "federation/discovery/discovery.h"

#include "homeserver/base/runtime/simulated.h"
#include "homeserver/base/runtime/testing/outcome.h"

namespace polder::discovery {
namespace {

class FakeEgress final : public egress::Egress {
 public:
  std::map<std::string, http::ClientResponse> answers;  // by host
  std::vector<egress::EgressRequest> sent;
  Task<Result<http::ClientResponse>> send(egress::EgressRequest request) override {
    sent.push_back(request);
    const auto found = answers.find(request.host);
    if (found == answers.end()) co_return fail(ErrorCode::kUnavailable, "refused");
    co_return found->second;
  }

  std::map<std::string, std::vector<egress::Service>> names;
  std::vector<std::string> asked;
  bool no_place = false;
  Task<Result<egress::Services>> services(std::string name, egress::Demand,
                                          std::chrono::nanoseconds) override {
    asked.push_back(name);
    if (no_place) co_return fail(ErrorCode::kRateLimited, "too many");
    if (!names.contains(name)) co_return fail(ErrorCode::kNotFound, "no such service");
    co_return egress::Services{names[name], std::chrono::seconds(60)};
  }
};

class DiscoveryTest : public testing::Test {
 protected:
  Result<std::vector<Destination>> resolve(std::string_view name) {
    return runtime::outcome(*simulation_, *runtime_,
                            discovery_.resolve(*ServerName::parse(name), {}, Millis(60'000)));
  }
  void expect(std::string_view name, const Destination& destination) {
    const auto found = resolve(name);
    ASSERT_TRUE(found.ok()) << name;
    ASSERT_EQ(found->size(), 1u) << name;
    EXPECT_EQ(found->front().host, destination.host) << name;
    EXPECT_EQ(found->front().port, destination.port) << name;
    EXPECT_EQ(found->front().tls_name, destination.tls_name) << name;
    EXPECT_EQ(found->front().host_header, destination.host_header) << name;
  }
  void delegate(const std::string& host, const std::string& to, const std::string& control = "") {
    http::ClientResponse response;
    response.status = 200;
    response.body = "{\"m.server\":\"" + to + "\"}";
    if (!control.empty()) response.headers.add("Cache-Control", control);
    egress_.answers[host] = response;
  }

  std::unique_ptr<runtime::Simulation> simulation_ = runtime::Simulation::create(1);
  std::unique_ptr<runtime::Runtime> runtime_ = simulation_->add_runtime("a");
  FakeEgress egress_;
  Discovery discovery_{*runtime_, egress_};
};

TEST_F(DiscoveryTest, Steps1And2NeedNoLookUp) {
  expect("1.2.3.4", {"1.2.3.4", 8448, "1.2.3.4", "1.2.3.4"});
  expect("1.2.3.4:80", {"1.2.3.4", 80, "1.2.3.4", "1.2.3.4:80"});
  expect("[2a00::1]", {"2a00::1", 8448, "2a00::1", "[2a00::1]"});
  expect("[2a00::1]:5", {"2a00::1", 5, "2a00::1", "[2a00::1]:5"});
  expect("a.example:8449", {"a.example", 8449, "a.example", "a.example:8449"});
  EXPECT_TRUE(egress_.sent.empty());
  EXPECT_TRUE(egress_.asked.empty());
}

TEST_F(DiscoveryTest, Step3Delegates) {
  delegate("ip.example", "1.2.3.4");
  expect("ip.example", {"1.2.3.4", 8448, "1.2.3.4", "1.2.3.4"});
  delegate("port.example", "d.example:443");
  expect("port.example", {"d.example", 443, "d.example", "d.example:443"});
  EXPECT_TRUE(egress_.asked.empty());
  delegate("plain.example", "d.example");
  expect("plain.example", {"d.example", 8448, "d.example", "d.example"});
  egress_.names["_matrix._tcp.d.example"] = {{1, 1, 8000, "old.example"}};
  expect("plain.example", {"old.example", 8000, "d.example", "d.example"});
  egress_.names["_matrix-fed._tcp.d.example"] = {{1, 1, 9000, "new.example"}};
  expect("plain.example", {"new.example", 9000, "d.example", "d.example"});
  for (const auto& request : egress_.sent) {
    EXPECT_EQ(request.target, "/.well-known/matrix/server");
    EXPECT_TRUE(request.tls);
    EXPECT_LE(request.body_max, 64u * 1024);
    EXPECT_GT(request.redirects_max, 0);
  }
}

TEST_F(DiscoveryTest, Steps4To6FollowAnInvalidAnswer) {
  http::ClientResponse response;
  response.status = 200;
  for (const char* body : {"", "[]", "{}", "{\"m.server\":1}", "{\"m.server\":\"not a name\"}"}) {
    response.body = body;
    const std::string host = "h" + std::to_string(egress_.sent.size()) + ".example";
    egress_.answers[host] = response;
    expect(host, {host, 8448, host, host});
  }
  response.status = 404;
  response.body = "{\"m.server\":\"d.example\"}";
  egress_.answers["a.example"] = response;
  expect("a.example", {"a.example", 8448, "a.example", "a.example"});
  egress_.names["_matrix._tcp.a.example"] = {{1, 1, 8000, "old.example"}};
  expect("a.example", {"old.example", 8000, "a.example", "a.example"});
  egress_.names["_matrix-fed._tcp.a.example"] = {{1, 1, 9000, "new.example"}};
  expect("a.example", {"new.example", 9000, "a.example", "a.example"});
}

TEST_F(DiscoveryTest, ServicesAreTriedByPriority) {
  egress_.names["_matrix-fed._tcp.a.example"] = {
      {20, 0, 3, "c"}, {10, 0, 1, "a"}, {10, 100, 2, "b"}, {30, 0, 4, "d"}, {40, 0, 5, "e"}};
  const auto found = resolve("a.example");
  ASSERT_TRUE(found.ok());
  ASSERT_EQ(found->size(), 4u);
  EXPECT_LT((*found)[0].port, 3);
  EXPECT_LT((*found)[1].port, 3);
  EXPECT_EQ((*found)[2].port, 3);
  EXPECT_EQ((*found)[3].port, 4);
  egress_.names["_matrix-fed._tcp.b.example"] = {{0, 0, 0, ""}};
  EXPECT_EQ(resolve("b.example").error().code, ErrorCode::kUnavailable);
}

TEST_F(DiscoveryTest, AnswersAreKeptForTheirTimeWithinBounds) {
  delegate("default.example", "d.example:1");
  delegate("short.example", "d.example:1", "max-age=1");
  delegate("hour.example", "d.example:1", "public, max-age=3600");
  delegate("long.example", "d.example:1", "max-age=99999999999999999999");
  const auto fetched = [&](const std::string& name, int64_t after_s) {
    (void)resolve(name);
    const size_t before = egress_.sent.size();
    simulation_->run_for(Millis(after_s * 1000));
    (void)resolve(name);
    return egress_.sent.size() != before;
  };
  EXPECT_FALSE(fetched("short.example", 200));
  EXPECT_TRUE(fetched("short.example", 301));
  EXPECT_FALSE(fetched("hour.example", 3500));
  EXPECT_TRUE(fetched("hour.example", 3601));
  EXPECT_FALSE(fetched("default.example", 23 * 3600));
  EXPECT_TRUE(fetched("default.example", 25 * 3600));
  EXPECT_FALSE(fetched("long.example", 47 * 3600));
  EXPECT_TRUE(fetched("long.example", 49 * 3600));
  const metrics::CacheFigures figures = discovery_.figures();
  EXPECT_EQ(figures.entries, 4u);
  EXPECT_EQ(figures.misses, egress_.sent.size());
  EXPECT_EQ(figures.hits + figures.misses, 16u);
}

TEST_F(DiscoveryTest, FailuresAreKeptLongerEachTime) {
  (void)resolve("down.example");
  simulation_->run_for(Millis(61'000));
  (void)resolve("down.example");
  EXPECT_EQ(egress_.sent.size(), 2u);
  simulation_->run_for(Millis(61'000));
  (void)resolve("down.example");
  EXPECT_EQ(egress_.sent.size(), 2u);
  simulation_->run_for(Millis(3'600'000));
  (void)resolve("down.example");
  EXPECT_EQ(egress_.sent.size(), 3u);
}

TEST_F(DiscoveryTest, NoPlaceForALookUpIsNoAnswerOfIt) {
  egress_.no_place = true;
  EXPECT_EQ(resolve("a.example").error().code, ErrorCode::kRateLimited);
}

}  // namespace
}  // namespace polder::discovery
