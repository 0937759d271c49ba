// Who causes requests, and whoever does not answer them, leaves slots for others.
#include <map>

#include "homeserver/base/egress/egress.h"
#include "homeserver/base/runtime/simulated.h"
#include "homeserver/base/runtime/sync.h"

namespace polder::egress {
namespace {

constexpr std::string_view kGood = "9.9.9.9";

// Answers for one address at once; all others accept, and stay silent until the asker gives up.
class SilentNetwork final : public http::Transport {
 public:
  explicit SilentNetwork(runtime::Runtime& runtime) : runtime_(runtime) {}
  std::map<std::string, size_t> under_way;
  size_t answer_bytes = 10;

  Task<Result<http::ClientResponse>> send(http::ClientRequest request) override {
    http::ClientResponse response;
    response.status = 200;
    response.body = std::string(answer_bytes, 'x');
    if (request.address == kGood) co_return response;
    runtime::Signal ended(runtime_);
    bool over = false;
    request.progress->end = [&] {
      over = true;
      ended.notify_all();
    };
    ++under_way[request.address];
    if (!over) co_await ended.wait_for(request.timeout);
    --under_way[request.address];
    request.progress->end = {};
    co_return fail(ErrorCode::kTimeout, "silent");
  }

 private:
  runtime::Runtime& runtime_;
};

// Never says anything of names; gives addresses back.
class SilentNames final : public Resolver {
 public:
  explicit SilentNames(runtime::Runtime& runtime) : forever_(runtime) {}
  std::map<std::string, size_t> asked;  // by domain
  Task<Result<Addresses>> addresses(std::string host) override {
    ++asked[host.substr(host.find('.') + 1)];
    co_await forever_.wait();
    co_return fail(ErrorCode::kUnavailable, "");
  }
  Task<Result<Services>> services(std::string) override {
    co_return fail(ErrorCode::kNotFound, "no such service");
  }

 private:
  runtime::Signal forever_;
};

Task<void> keep_services(CheckedEgress& egress,
                         std::shared_ptr<std::optional<Result<Services>>> outcome) {
  outcome->emplace(co_await egress.services("_matrix._tcp.evil.example", {Cause::kStranger},
                                            std::chrono::seconds(30)));
}

class SlotsTest : public testing::Test {
 protected:
  using Outcome = std::optional<Result<http::ClientResponse>>;

  std::shared_ptr<Outcome> ask(std::string host, Cause cause, uint16_t port = 443,
                               std::string by = {}) {
    EgressRequest request;
    request.demand = {cause, std::move(by)};
    request.host = std::move(host);
    request.port = port;
    auto outcome = std::make_shared<Outcome>();
    runtime::spawn(*runtime_, runtime_->shard(0), "test", keep(egress_, request, outcome));
    return outcome;
  }
  static Task<void> keep(CheckedEgress& egress, EgressRequest request,
                         std::shared_ptr<Outcome> outcome) {
    outcome->emplace(co_await egress.send(std::move(request)));
  }
  static bool went_well(const std::shared_ptr<Outcome>& outcome) {
    return outcome->has_value() && (*outcome)->ok();
  }
  static std::string host(size_t i) {
    return "8." + std::to_string(i / 250) + ".1." + std::to_string(i % 250 + 1);
  }

  std::unique_ptr<runtime::Simulation> simulation_ = runtime::Simulation::create(1);
  std::unique_ptr<runtime::Runtime> runtime_ = simulation_->add_runtime("a");
  SilentNames names_{*runtime_};
  SilentNetwork network_{*runtime_};
  CheckedEgress egress_{*runtime_, names_, network_, true};
};

TEST_F(SlotsTest, NamesThatAreNeverAnsweredTakeSlotsOfTheirDomainAndCauseOnly) {
  const Share share = kLookUpShares[static_cast<size_t>(Cause::kStranger)];
  for (size_t i = 0; i < 400; ++i)
    ask("n" + std::to_string(i) + ".evil.example", Cause::kStranger);
  simulation_->run_for(Millis(100));
  EXPECT_EQ(names_.asked["evil.example"], share.of_host);
  for (size_t i = 0; i < 400; ++i)
    ask("n.evil" + std::to_string(i) + ".example", Cause::kStranger);
  simulation_->run_for(Millis(100));
  EXPECT_EQ(egress_.look_ups().under_way(Cause::kStranger), share.prompt);
  EXPECT_GT(egress_.look_up_stats(Cause::kStranger).no_slot.value(), 0u);
  ask("n.evil.example", Cause::kUser);
  ask("n.good.example", Cause::kUser);
  simulation_->run_for(Millis(100));
  EXPECT_EQ(names_.asked["good.example"], 1u);
  EXPECT_EQ(names_.asked["evil.example"], share.of_host + 1);
}

TEST_F(SlotsTest, ServicesAreLookedUpThroughTheSameSlots) {
  for (size_t i = 0; i < 400; ++i)
    ask("n" + std::to_string(i) + ".evil.example", Cause::kStranger);
  const auto outcome = std::make_shared<std::optional<Result<Services>>>();
  runtime::spawn(*runtime_, runtime_->shard(0), "test", keep_services(egress_, outcome));
  simulation_->run_for(Millis(100));
  ASSERT_TRUE(outcome->has_value());
  EXPECT_EQ((*outcome)->error().code, ErrorCode::kRateLimited);
}

TEST_F(SlotsTest, OneHostHasItsShareWhateverItsPorts) {
  for (const Cause cause :
       {Cause::kUser, Cause::kRooms, Cause::kStranger, Cause::kSender, Cause::kMedia}) {
    for (uint16_t port = 1; port <= 400; ++port)
      ask("8.8.8.8", cause, port);
    simulation_->run_for(Millis(100));
    EXPECT_EQ(network_.under_way["8.8.8.8"], kShares[static_cast<size_t>(cause)].of_host);
    const auto other = ask(std::string(kGood), cause);
    simulation_->run_for(Millis(100));
    EXPECT_TRUE(went_well(other)) << static_cast<int>(cause);
    simulation_->run_for(Millis(1'200'000));
  }
}

TEST_F(SlotsTest, ManySlowHostsHoldPlacesForAMomentOnly) {
  for (size_t i = 0; i < 3000; ++i)
    ask(host(i), Cause::kSender);
  simulation_->run_for(Millis(100));
  EXPECT_EQ(egress_.slots().under_way(Cause::kSender), 200u);
  for (int i = 0; i < 100; ++i) {
    const auto other = ask(std::string(kGood), Cause::kUser);
    simulation_->run_for(Millis(10));
    EXPECT_TRUE(went_well(other));
  }
  for (size_t i = 0; i < 150; ++i)
    ask(host(i), Cause::kUser);
  const auto other = ask(std::string(kGood), Cause::kUser);
  simulation_->run_for(kPromptTime + Millis(100));
  EXPECT_TRUE(went_well(other));
  EXPECT_LE(egress_.slots().under_way(Cause::kUser), 128u + 64u);
}

TEST_F(SlotsTest, TheHostThatHasMostSlowRequestsMakesWayFirst) {
  for (size_t i = 0; i < 40; ++i)
    ask(host(i), Cause::kUser);
  for (int i = 0; i < 16; ++i)
    ask("8.8.8.8", Cause::kUser);
  simulation_->run_for(kPromptTime + Millis(100));
  EXPECT_EQ(network_.under_way["8.8.8.8"], 16u);
  for (size_t i = 40; i < 60; ++i)
    ask(host(i), Cause::kUser);
  simulation_->run_for(kPromptTime + Millis(100));
  EXPECT_EQ(network_.under_way["8.8.8.8"], 4u);
  EXPECT_EQ(egress_.slots().under_way(Cause::kUser), 64u);
}

TEST_F(SlotsTest, OneStrangerHasFewPlaces) {
  for (size_t i = 0; i < 50; ++i)
    ask(host(i), Cause::kStranger, 443, "7.7.7.7");
  simulation_->run_for(Millis(100));
  EXPECT_EQ(egress_.slots().under_way(Cause::kStranger), 4u);
  const auto other = ask(std::string(kGood), Cause::kStranger, 443, "6.6.6.6");
  simulation_->run_for(Millis(100));
  EXPECT_TRUE(went_well(other));
}

TEST_F(SlotsTest, WhateverHangsARequestEnds) {
  EgressRequest request;
  request.host = "name.example";
  request.timeout = Millis(10'000);
  const auto by_name = std::make_shared<Outcome>();
  runtime::spawn(*runtime_, runtime_->shard(0), "test", keep(egress_, request, by_name));
  request.host = "8.8.8.8";
  const auto by_address = std::make_shared<Outcome>();
  runtime::spawn(*runtime_, runtime_->shard(0), "test", keep(egress_, request, by_address));
  simulation_->run_for(Millis(10'100));
  for (const auto& outcome : {by_name, by_address}) {
    ASSERT_TRUE(outcome->has_value());
    EXPECT_EQ((*outcome)->error().code, ErrorCode::kTimeout);
  }
}

TEST_F(SlotsTest, WhoFindsNoPlaceInTimeIsTold) {
  for (int i = 0; i < 100; ++i)
    ask("8.8.8.8", Cause::kUser);
  const auto late = ask("8.8.8.8", Cause::kUser);
  simulation_->run_for(Millis(100));
  ASSERT_TRUE(late->has_value());
  EXPECT_EQ((*late)->error().code, ErrorCode::kRateLimited);
  simulation_->run_for(Millis(200'000));
  EXPECT_EQ(egress_.slots().under_way(Cause::kUser), 0u);
}

TEST_F(SlotsTest, WhoseTurnDoesNotComeInTimeIsTold) {
  const size_t most = kShares[static_cast<size_t>(Cause::kUser)].of_host;
  for (size_t i = 0; i < most; ++i)
    ask("8.8.8.8", Cause::kUser);
  EgressRequest request;
  request.demand = {Cause::kUser, {}};
  request.host = "8.8.8.8";
  request.timeout = Millis(3'000);
  const auto late = std::make_shared<Outcome>();
  runtime::spawn(*runtime_, runtime_->shard(0), "test", keep(egress_, request, late));
  simulation_->run_for(Millis(2'900));
  EXPECT_FALSE(late->has_value());
  EXPECT_EQ(egress_.slots().in_line(Cause::kUser), 1u);
  simulation_->run_for(Millis(200));
  ASSERT_TRUE(late->has_value());
  EXPECT_EQ((*late)->error().code, ErrorCode::kRateLimited);
  EXPECT_EQ(egress_.slots().in_line(Cause::kUser), 0u);
}

TEST_F(SlotsTest, BytesOfAnswersThatAreHeldAreBounded) {
  network_.answer_bytes = size_t{3} << 20;
  std::vector<std::shared_ptr<Outcome>> outcomes;
  for (int i = 0; i < 5; ++i) {
    outcomes.push_back(ask(std::string(kGood), Cause::kStranger));
    simulation_->run_for(Millis(100));
  }
  EXPECT_TRUE(went_well(outcomes[1]));
  EXPECT_EQ((*outcomes[2])->error().code, ErrorCode::kRateLimited);
  EXPECT_EQ(egress_.slots().held(Cause::kStranger), size_t{6} << 20);
  outcomes.clear();
  EXPECT_EQ(egress_.slots().held(Cause::kStranger), 0u);
  const auto other = ask(std::string(kGood), Cause::kStranger);
  simulation_->run_for(Millis(100));
  EXPECT_TRUE(went_well(other));
}

}  // namespace
}  // namespace polder::egress
