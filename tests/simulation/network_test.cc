#include "tests/simulation/network.h"

namespace polder::simulation {
namespace {

// Two hosts; "b" counts what it is asked.
class NetworkTest : public testing::Test {
 protected:
  NetworkTest()
      : simulation_(runtime::Simulation::create(7)),
        network_(*simulation_),
        a_(simulation_->add_runtime("a")),
        b_(simulation_->add_runtime("b")) {
    http::Route route;
    route.method = http::Method::kPut;
    route.path = "/_matrix/federation/echo/{word}";
    route.body_max = 1 << 20;
    route.handler = [this](http::Exchange& exchange) -> Task<Result<http::Response>> {
      ++served_;
      return reply(*b_,
                   std::string(exchange.request.path_parameter("word")) + exchange.request.body,
                   takes_);
    };
    router_.add(std::move(route));
    route = {};
    route.path = "/client";
    route.handler = [](http::Exchange&) -> Task<Result<http::Response>> {
      co_return http::Response::json(200, "{}");
    };
    router_.add(std::move(route));
    network_.attach("b", *b_, router_);
  }

  static Task<Result<http::Response>> reply(runtime::Runtime& runtime, std::string text,
                                            Millis takes) {
    co_await runtime::sleep_for(runtime, takes);
    co_return http::Response::json(200, std::move(text));
  }
  using Outcome = std::shared_ptr<std::optional<Result<http::ClientResponse>>>;
  static Task<void> ask(http::Transport& transport, http::ClientRequest request, Outcome outcome) {
    outcome->emplace(co_await transport.send(std::move(request)));
  }
  static http::ClientRequest request(std::string target, std::string body = "") {
    http::ClientRequest made;
    made.port = 8448;
    made.tls_name = "b";
    made.method = http::Method::kPut;
    made.target = std::move(target);
    made.body = std::move(body);
    made.timeout = Millis(10'000);
    return made;
  }
  Outcome begin(http::ClientRequest made) {
    auto outcome = std::make_shared<std::optional<Result<http::ClientResponse>>>();
    runtime::spawn(*a_, a_->shard(0), "ask",
                   ask(network_.transport("a"), std::move(made), outcome));
    return outcome;
  }
  // The answer's status and body, or the error; "none" while there is neither.
  std::string run(http::ClientRequest made) {
    const Outcome outcome = begin(std::move(made));
    simulation_->run_for(Millis(20'000));
    return text_of(outcome);
  }
  static std::string text_of(const Outcome& outcome) {
    if (!outcome->has_value()) return "none";
    const auto& result = **outcome;
    return result.ok() ? std::to_string(result->status) + " " + result->body
                       : std::string(base::to_string(result.error().code));
  }

  std::unique_ptr<runtime::Simulation> simulation_;
  Network network_;
  http::Router router_;
  std::unique_ptr<runtime::Runtime> a_;
  std::unique_ptr<runtime::Runtime> b_;
  int served_ = 0;
  Millis takes_{0};
};

TEST_F(NetworkTest, ARequestIsServedByTheOtherSideAndAnswered) {
  EXPECT_EQ(run(request("/_matrix/federation/echo/a%20b", "c")), "200 a bc");
  EXPECT_EQ(served_, 1);
  EXPECT_EQ(network_.under_way(), 0u);
}

TEST_F(NetworkTest, OnlyTheFederationListenerIsThere) {
  http::ClientRequest made = request("/client");
  made.method = http::Method::kGet;
  EXPECT_TRUE(run(made).starts_with("404 "));
  made = request("/_matrix/federation/echo/x");
  made.port = 443;
  EXPECT_EQ(run(made), base::to_string(ErrorCode::kUnavailable));
  made = request("/_matrix/federation/echo/x");
  made.tls_name = "nobody";
  EXPECT_EQ(run(made), base::to_string(ErrorCode::kUnavailable));
}

TEST_F(NetworkTest, AnAnswerOverTheLimitIsAnError) {
  http::ClientRequest made = request("/_matrix/federation/echo/long");
  made.body_max = 3;
  EXPECT_EQ(run(made), base::to_string(ErrorCode::kTooLarge));
}

TEST_F(NetworkTest, WhatIsLostTimesOutServedOrNot) {
  network_.set_conditions({.request_lost = 1000});
  EXPECT_EQ(run(request("/_matrix/federation/echo/x")), base::to_string(ErrorCode::kTimeout));
  EXPECT_EQ(served_, 0);
  network_.set_conditions({.answer_lost = 1000});
  EXPECT_EQ(run(request("/_matrix/federation/echo/x")), base::to_string(ErrorCode::kTimeout));
  EXPECT_EQ(served_, 1);
}

TEST_F(NetworkTest, WhatIsRepeatedIsServedTwiceAndAnsweredOnce) {
  network_.set_conditions({.repeated = 1000});
  EXPECT_EQ(run(request("/_matrix/federation/echo/x")), "200 x");
  EXPECT_EQ(served_, 2);
}

TEST_F(NetworkTest, ACutStopsWhatIsUnderWayAndCanBeMended) {
  takes_ = Millis(1000);
  const Outcome outcome = begin(request("/_matrix/federation/echo/x"));
  simulation_->run_for(Millis(500));
  EXPECT_EQ(served_, 1);
  network_.cut("b", "a");
  simulation_->run_for(Millis(10'000));
  EXPECT_EQ(text_of(outcome), base::to_string(ErrorCode::kTimeout));
  EXPECT_EQ(run(request("/_matrix/federation/echo/x")), base::to_string(ErrorCode::kTimeout));
  EXPECT_EQ(served_, 1);
  network_.mend("a", "b");
  EXPECT_EQ(run(request("/_matrix/federation/echo/x")), "200 x");
}

TEST_F(NetworkTest, RequestsOvertakeEachOther) {
  network_.set_conditions({.delay_min = Millis(0), .delay_max = Millis(1000)});
  std::string order;
  router_.set_after([&order](const http::Exchange& exchange, const http::Response&) {
    order += exchange.request.path_parameter("word");
  });
  for (const char* word : {"0", "1", "2", "3", "4", "5", "6", "7"})
    begin(request("/_matrix/federation/echo/" + std::string(word)));
  simulation_->run_for(Millis(5000));
  EXPECT_EQ(order.size(), 8u);
  EXPECT_NE(order, "01234567");
}

TEST_F(NetworkTest, ACrashResetsWhatIsBeingAnswered) {
  takes_ = Millis(5000);
  const Outcome outcome = begin(request("/_matrix/federation/echo/x"));
  simulation_->run_for(Millis(1000));
  network_.detach("b");
  simulation_->crash(*b_);
  simulation_->run_for(Millis(1000));
  EXPECT_EQ(text_of(outcome), base::to_string(ErrorCode::kUnavailable));
  EXPECT_EQ(run(request("/_matrix/federation/echo/x")), base::to_string(ErrorCode::kUnavailable));
}

TEST_F(NetworkTest, WhatWasSentIsServedEvenIfTheAskerEnds) {
  const Outcome outcome = begin(request("/_matrix/federation/echo/x"));
  simulation_->run_until([&] { return network_.under_way() == 1; }, Millis(1));
  network_.detach("a");
  simulation_->crash(*a_);
  simulation_->run_for(Millis(20'000));
  EXPECT_EQ(served_, 1);
  EXPECT_EQ(text_of(outcome), "none");
  EXPECT_EQ(network_.under_way(), 0u);
}

}  // namespace
}  // namespace polder::simulation
