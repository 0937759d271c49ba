#include "tests/simulation/history.h"

namespace polder::simulation {
namespace {

constexpr size_t kSteps = 60;

TEST(History, TheSameSeedGivesTheSameHistoryAndAnotherSeedAnother) {
  const Plan plan{.seed = 3, .steps = kSteps};
  const Outcome first = run_history(plan);
  const Outcome again = run_history(plan);
  Plan other = plan;
  other.seed = 4;
  EXPECT_GT(first.acknowledged, 0u);
  EXPECT_EQ(first.trace_hash, again.trace_hash);
  EXPECT_EQ(first.acknowledged, again.acknowledged);
  EXPECT_NE(first.trace_hash, run_history(other).trace_hash);
}

struct Case {
  const char* name;
  Plan plan;
};
class HistoryTest : public testing::TestWithParam<Case> {};

TEST_P(HistoryTest, EverythingHolds) {
  const Outcome outcome = run_history(GetParam().plan);
  EXPECT_EQ(outcome.findings, std::vector<std::string>{});
  EXPECT_GT(outcome.acknowledged, 0u);
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, HistoryTest,
    testing::Values(Case{"OneServerWithoutFaults", {1, 1, 3, kSteps, true, false}},
                    Case{"OneServer", {2, 1, 3, kSteps, true, true}},
                    Case{"TwoServersThatDoNotMeet", {3, 2, 2, kSteps, false, true}},
                    Case{"TwoServersWithoutFaults", {4, 2, 2, kSteps, true, false}},
                    Case{"ThreeServersWithoutFaults", {5, 3, 1, kSteps, true, false}}),
    [](const auto& instance) { return instance.param.name; });

}  // namespace
}  // namespace polder::simulation
