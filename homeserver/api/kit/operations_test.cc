#include "homeserver/api/kit/operations.h"

#include <gtest/gtest.h>

#include "homeserver/api/kit/respond.h"
#include "homeserver/base/runtime/simulated.h"

namespace polder::kit {
namespace {

struct Services {
  std::string word = "done";
};

Task<Result<http::Response>> answer(const Services& services, Call& call) {
  POLDER_CO_TRY(const std::string fault, call.fields().string_or("fault", ""));
  if (fault == "forbidden") co_return fail(ErrorCode::kForbidden, "M_GUEST_ACCESS_FORBIDDEN", "no");
  if (fault == "corrupt") co_return fail(ErrorCode::kCorrupt, "a secret");
  if (fault == "signature") co_return fail(ErrorCode::kBadSignature, "wrong");
  co_return ok_json({{services.word, static_cast<int64_t>(call.body.size())}});
}

Task<Result<http::Response>> count(const Services&, Call& call) {
  co_return ok_json({{"bytes", static_cast<int64_t>(call.text.size())}});
}

using Row = Operation<const Services>;
constexpr Row kTable[] = {
    {"required", http::Method::kPost, "/required", answer, {.body_max = 100}},
    {"optional",
     http::Method::kPost,
     "/optional",
     answer,
     {.body_max = 100, .body = http::Body::kOptional}},
    {"none", http::Method::kPost, "/none", answer},
    {"text", http::Method::kPost, "/text", count, {.body_max = 100, .body = http::Body::kText}},
    {"large", http::Method::kPost, "/large", answer, {.body_max = kLargeBody}},
};

class Piece final : public http::BodySource {
 public:
  explicit Piece(std::string text) : text_(std::move(text)) {}
  Task<Result<std::optional<std::string>>> next() override {
    if (text_.empty()) co_return std::optional<std::string>();
    co_return std::optional(std::exchange(text_, {}));
  }

 private:
  std::string text_;
};

class OperationsTest : public testing::Test {
 protected:
  OperationsTest() { add_operations(router_, *runtime_, services_, std::span<const Row>(kTable)); }

  Task<void> perform(std::string target, std::string body, std::shared_ptr<Caller> caller,
                     std::string& seen) {
    http::Exchange exchange;
    exchange.served.set();
    exchange.request.method = http::Method::kPost;
    EXPECT_TRUE(http::parse_target(target, exchange.request).ok());
    Piece piece(std::move(body));
    exchange.request.body_stream = &piece;
    exchange.caller = std::move(caller);
    const http::Response response = co_await router_.handle(exchange);
    seen = std::to_string(response.status) + " " + std::string(response.body.at(0).bytes);
  }
  std::string ask(std::string target, std::string body, std::shared_ptr<Caller> caller = nullptr) {
    std::string seen;
    runtime::spawn(*runtime_, runtime_->shard(0), "request",
                   perform(std::move(target), std::move(body), std::move(caller), seen));
    simulation_->run_for(Millis(10));
    return seen;
  }

  std::unique_ptr<runtime::Simulation> simulation_ = runtime::Simulation::create(1);
  std::unique_ptr<runtime::Runtime> runtime_ = simulation_->add_runtime("a");
  const Services services_;
  http::Router router_;
};

TEST_F(OperationsTest, WhetherABodyMayBeLeftOutIsInTheTable) {
  struct Case {
    std::string target;
    std::string body;
    std::string_view answer;
  };
  const std::vector<Case> cases = {
      {"/required", R"({"a":1})", R"(200 {"done":1})"},
      {"/required", "", "M_NOT_JSON"},
      {"/required", "{", "M_NOT_JSON"},
      {"/required", "[]", "M_BAD_JSON"},
      {"/required", R"({"fault":5})", "M_BAD_JSON"},
      {"/required", std::string(101, ' '), "413"},
      {"/optional", "", R"(200 {"done":0})"},
      {"/optional", "{", "M_NOT_JSON"},
      {"/none", "{", R"(200 {"done":0})"},
  };
  for (const Case& item : cases) {
    const std::string seen = ask(item.target, item.body);
    EXPECT_NE(seen.find(item.answer), std::string::npos) << item.target << item.body << seen;
  }
}

TEST_F(OperationsTest, ErrorsAreAnsweredAndNothingIsToldOfThisServersOwn) {
  EXPECT_EQ(ask("/required", R"({"fault":"forbidden"})"),
            R"(403 {"errcode":"M_GUEST_ACCESS_FORBIDDEN","error":"no"})");
  EXPECT_EQ(ask("/required", R"({"fault":"corrupt"})"),
            R"(500 {"errcode":"M_UNKNOWN","error":"Internal server error"})");
  EXPECT_EQ(ask("/required", R"({"fault":"signature"})"),
            R"(400 {"errcode":"M_INVALID_SIGNATURE","error":"wrong"})");
}

TEST_F(OperationsTest, TheBodyOfAServerIsWhatItSigned) {
  const auto caller = [](std::string text) {
    return std::make_shared<Caller>(Server{ServerName::trusted("other"), std::move(text)});
  };
  EXPECT_EQ(ask("/required", "sent", caller(R"({"a":1,"b":2})")), R"(200 {"done":2})");
  EXPECT_NE(ask("/required", "sent", caller("")).find("M_NOT_JSON"), std::string::npos);
  EXPECT_NE(ask("/required", "sent", caller(R"({"fault":"signature"})")).find("M_INVALID_PARAM"),
            std::string::npos);
}

TEST_F(OperationsTest, ABodyMayBeTakenAsText) {
  EXPECT_EQ(ask("/text", "not JSON"), R"(200 {"bytes":8})");
  EXPECT_NE(ask("/text", "").find("M_NOT_JSON"), std::string::npos);
}

TEST_F(OperationsTest, ALargeBodyIsReadElsewhere) {
  const std::string large = R"({"a":")" + std::string(100'000, 'x') + R"("})";
  EXPECT_EQ(ask("/large", large), R"(200 {"done":1})");
  EXPECT_NE(ask("/large", large + "x").find("M_NOT_JSON"), std::string::npos);
}

TEST_F(OperationsTest, RoutesAreAsTheTableSays) {
  const auto routes = router_.routes();
  ASSERT_EQ(routes.size(), std::size(kTable));
  EXPECT_EQ(routes[1]->operation, "optional");
  EXPECT_EQ(routes[1]->authentication, http::Authentication::kAccessToken);
  EXPECT_EQ(routes[1]->rate, http::RateClass::kCheap);
}

}  // namespace
}  // namespace polder::kit
