// polder_simulate: runs histories of seeds, and says how to replay those in which something did not
// hold.
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstring>

#include "tests/simulation/history.h"

namespace polder::simulation {
namespace {

constexpr uint64_t kSeedsBetweenReplays = 10;

struct Arguments {
  uint64_t seeds = 50;
  uint64_t seed = 1;  // the first
  uint64_t servers = 2;
  uint64_t users = 2;
  uint64_t steps = 150;
  uint64_t federated = 1;
  uint64_t faults = 1;
  uint64_t hostile = 0;
  uint64_t watch = 0;
};

constexpr std::pair<std::string_view, uint64_t Arguments::*> kNames[] = {
    {"--seeds", &Arguments::seeds},     {"--seed", &Arguments::seed},
    {"--servers", &Arguments::servers}, {"--users", &Arguments::users},
    {"--steps", &Arguments::steps},     {"--federated", &Arguments::federated},
    {"--faults", &Arguments::faults},   {"--hostile", &Arguments::hostile},
    {"--watch", &Arguments::watch},
};

bool parse(int count, char** words, Arguments& arguments) {
  for (int i = 1; i < count; i += 2) {
    const auto* name = std::ranges::find(kNames, std::string_view(words[i]),
                                         [](const auto& row) { return row.first; });
    if (name == std::end(kNames) || i + 1 == count) return false;
    const char* end = words[i + 1] + std::strlen(words[i + 1]);
    const auto [at, error] = std::from_chars(words[i + 1], end, arguments.*(name->second));
    if (error != std::errc() || at != end) return false;
  }
  return true;
}

Plan plan_of(const Arguments& arguments, uint64_t seed) {
  return {seed,
          arguments.servers,
          arguments.users,
          arguments.steps,
          arguments.federated != 0,
          arguments.faults != 0,
          arguments.hostile,
          arguments.watch != 0};
}

std::string replay_of(const Plan& plan) {
  return "./dev simulate --seeds 1 --seed " + std::to_string(plan.seed) + " --servers " +
         std::to_string(plan.servers) + " --users " + std::to_string(plan.users) + " --steps " +
         std::to_string(plan.steps) + " --federated " + std::to_string(plan.federated) +
         " --faults " + std::to_string(plan.faults) + " --hostile " + std::to_string(plan.hostile);
}

int run(const Arguments& arguments) {
  uint64_t failed = 0;
  size_t acknowledged = 0;
  size_t crashes = 0;
  uint64_t last_hash = 0;
  for (uint64_t seed = arguments.seed; seed < arguments.seed + arguments.seeds; ++seed) {
    const Plan plan = plan_of(arguments, seed);
    // Said first: a seed that ends the process is known by it.
    std::printf("seed %llu", static_cast<unsigned long long>(seed));
    std::fflush(stdout);
    Outcome outcome = run_history(plan);
    if (seed % kSeedsBetweenReplays == 0 && run_history(plan).trace_hash != outcome.trace_hash)
      outcome.findings.push_back("the same seed gave another history");
    if (outcome.trace_hash == last_hash)
      outcome.findings.push_back("two seeds gave the same history");
    last_hash = outcome.trace_hash;
    acknowledged += outcome.acknowledged;
    crashes += outcome.crashes;
    std::printf(": %zu events, %zu crashes, trace %016llx\n", outcome.acknowledged, outcome.crashes,
                static_cast<unsigned long long>(outcome.trace_hash));
    if (outcome.findings.empty()) continue;
    ++failed;
    for (const std::string& finding : outcome.findings)
      std::printf("  %s\n", finding.c_str());
    std::printf("  replay: %s\n", replay_of(plan).c_str());
  }
  std::printf("%llu seeds, %zu events acknowledged, %zu crashes, %llu seeds failed\n",
              static_cast<unsigned long long>(arguments.seeds), acknowledged, crashes,
              static_cast<unsigned long long>(failed));
  return failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace polder::simulation

int main(int count, char** words) {
  polder::simulation::Arguments arguments;
  if (!polder::simulation::parse(count, words, arguments)) {
    std::fprintf(
        stderr,
        "usage: polder_simulate [--seeds N] [--seed FIRST] [--servers N] [--users N of each]"
        " [--steps N] [--federated 0|1] [--faults 0|1] [--hostile N of the servers] [--watch "
        "0|1]\n");
    return 2;
  }
  return polder::simulation::run(arguments);
}
