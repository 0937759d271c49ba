#include "federation/transport/transport.h"

#include "federation/wire/authorization.h"
#include "homeserver/base/runtime/simulated.h"
#include "homeserver/base/runtime/testing/outcome.h"
#include "homeserver/base/values/bytes.h"

namespace polder::transport {
namespace {

class FakeEgress final : public egress::Egress {
 public:
  Result<http::ClientResponse> answer = fail(ErrorCode::kUnavailable, "refused");
  std::vector<egress::EgressRequest> sent;
  Task<Result<http::ClientResponse>> send(egress::EgressRequest request) override {
    if (const auto prepare = std::exchange(request.prepare, {}))
      POLDER_CO_CHECK(co_await prepare(request));
    sent.push_back(std::move(request));
    co_return answer;
  }
  Task<Result<egress::Services>> services(std::string, egress::Demand,
                                          std::chrono::nanoseconds) override {
    co_return fail(ErrorCode::kNotFound, "no such service");
  }
};

class TransportTest : public testing::Test {
 protected:
  template <class T>
  T run(Task<T> task) {
    return runtime::outcome(*simulation_, *runtime_, std::move(task));
  }
  void answer(int status, std::string body) {
    http::ClientResponse response;
    response.status = status;
    response.body = std::move(body);
    egress_.answer = response;
  }
  Result<json::Object> get() { return run(servers_.request(other_, {.path = "/_matrix/x"})); }

  std::unique_ptr<runtime::Simulation> simulation_ = runtime::Simulation::create(1);
  std::unique_ptr<runtime::Runtime> runtime_ = simulation_->add_runtime("a");
  FakeEgress egress_;
  discovery::Discovery discovery_{*runtime_, egress_};
  const ServerName own_ = ServerName::trusted("own.example");
  const ServerName other_ = ServerName::trusted("other.example:8448");
  const crypto::SigningKey key_ = std::move(*crypto::SigningKey::from_seed(
      KeyId::trusted("ed25519:1"), base::base64_encode(as_bytes(std::string(32, '1')))));
  NetworkServers servers_{*runtime_, egress_, discovery_, own_, key_, {Millis(1000), Millis(8000)}};
};

TEST_F(TransportTest, RequestsAreSigned) {
  answer(200, "{\"a\":1}");
  const auto got =
      run(servers_.request(other_, {.method = http::Method::kPut,
                                    .path = path_of("/_matrix/federation/v1/state", {"!a/b:c"}),
                                    .query = {{"event_id", "$x+y"}, {"v", "1"}},
                                    .body = "{\"b\":2}"}));
  ASSERT_TRUE(got.ok()) << got.error().message;
  EXPECT_EQ(got->find_int("a"), 1);
  ASSERT_EQ(egress_.sent.size(), 1u);
  const auto& request = egress_.sent[0];
  EXPECT_EQ(request.target, "/_matrix/federation/v1/state/%21a%2Fb%3Ac?event_id=%24x%2By&v=1");
  EXPECT_EQ(request.host, "other.example");
  EXPECT_EQ(request.host_header, "other.example:8448");
  EXPECT_EQ(request.body, "{\"b\":2}");
  const auto header = wire::parse_authorization(request.headers.find("Authorization"));
  ASSERT_TRUE(header.ok());
  EXPECT_TRUE(wire::verify({"PUT", request.target, own_, other_, request.body}, *header,
                           key_.verify_key()));
}

TEST_F(TransportTest, UnauthenticatedRequestsCarryNoSignature) {
  answer(200, "{}");
  EXPECT_TRUE(run(servers_.request(other_, {.path = "/x", .authenticated = false})).ok());
  EXPECT_EQ(egress_.sent[0].headers.find("Authorization"), "");
  EXPECT_EQ(run(servers_.request(own_, {.path = "/x"})).error().code, ErrorCode::kInvalid);
}

TEST_F(TransportTest, RefusalsCarryTheOthersErrcode) {
  const std::vector<std::tuple<int, std::string, ErrorCode>> cases = {
      {400, "M_BAD_JSON", ErrorCode::kInvalid},
      {400, "M_INCOMPATIBLE_ROOM_VERSION", ErrorCode::kUnsupported},
      {401, "M_UNAUTHORIZED", ErrorCode::kForbidden},
      {403, "M_FORBIDDEN", ErrorCode::kForbidden},
      {404, "M_NOT_FOUND", ErrorCode::kNotFound},
      {404, "M_UNRECOGNIZED", ErrorCode::kUnsupported},
      {504, "M_NOT_YET_UPLOADED", ErrorCode::kTimeout},
      {502, "M_TOO_LARGE", ErrorCode::kTooLarge},
      {413, "M_TOO_LARGE", ErrorCode::kTooLarge},
  };
  for (const auto& [status, errcode, code] : cases) {
    answer(status, "{\"errcode\":\"" + errcode + "\",\"error\":\"no\\r\\nX\"}");
    const auto got = get();
    ASSERT_FALSE(got.ok());
    EXPECT_EQ(got.error().code, code) << errcode;
    EXPECT_EQ(got.error().message, errcode + ": no  X");
    EXPECT_EQ(servers_.back_off(other_), Millis(0)) << errcode;
  }
  answer(200, "[]");
  EXPECT_FALSE(get().ok());
  answer(302, "");
  EXPECT_EQ(get().error().code, ErrorCode::kUnavailable);
}

TEST_F(TransportTest, WhyThereIsNoAnswerIsNotTold) {
  const Error told = not_asked(other_);
  for (const ErrorCode code :
       {ErrorCode::kUnavailable, ErrorCode::kTimeout, ErrorCode::kForbidden, ErrorCode::kNotFound,
        ErrorCode::kMalformed, ErrorCode::kRateLimited}) {
    egress_.answer = fail(code, "at 10.0.0.1: connection refused");
    const auto got = run(servers_.request(other_, {.path = "/x", .despite_back_off = true}));
    EXPECT_EQ(got.error().code, told.code);
    EXPECT_EQ(got.error().message, told.message);
  }
}

TEST_F(TransportTest, ThatThereWasNoPlaceIsHeldAgainstNobody) {
  egress_.answer = fail(ErrorCode::kRateLimited, "no place");
  EXPECT_EQ(get().error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(servers_.back_off(other_), Millis(0));
  const auto told = run(servers_.request(other_, {.path = "/x", .tell_if_busy = true}));
  EXPECT_EQ(told.error().code, ErrorCode::kRateLimited);
}

TEST_F(TransportTest, AServerThatFailsIsLeftInPeaceLongerEachTime) {
  for (const int64_t wait : {1000, 2000, 4000, 8000, 8000}) {
    EXPECT_EQ(get().error().code, ErrorCode::kUnavailable);
    const size_t sent = egress_.sent.size();
    EXPECT_GT(servers_.back_off(other_), Millis(wait * 3 / 4));
    EXPECT_LE(servers_.back_off(other_), Millis(wait));
    EXPECT_EQ(get().error().code, ErrorCode::kUnavailable);
    EXPECT_EQ(egress_.sent.size(), sent);
    simulation_->run_for(Millis(wait));
  }
  answer(500, "{}");
  EXPECT_FALSE(get().ok());
  EXPECT_GT(servers_.back_off(other_), Millis(0));
  answer(200, "{}");
  EXPECT_TRUE(run(servers_.request(other_, {.path = "/x", .despite_back_off = true})).ok());
  EXPECT_EQ(servers_.back_off(other_), Millis(0));
}

TEST_F(TransportTest, HearingFromAServerEndsItsBackOff) {
  EXPECT_FALSE(get().ok());
  answer(200, "{}");
  EXPECT_FALSE(get().ok());
  servers_.heard_from(other_);
  EXPECT_TRUE(get().ok());
}

}  // namespace
}  // namespace polder::transport
