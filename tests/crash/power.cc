// polder_power: a homeserver loses its power again and again while clients use it, and everything
// that it acknowledged is there afterwards. [--rounds N] [--seed FIRST]
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <string_view>

#include "tests/crash/power_scenario.h"

namespace polder::crash {
namespace {

constexpr uint64_t kRoundsOfScenario = 10;  // then a new one is founded
constexpr uint64_t kRoundsToSeeAll = 100;   // from here on, the power has gone at every time

struct Arguments {
  uint64_t rounds = 20;
  uint64_t seed = 1;
};

bool parse(int count, char** words, Arguments& arguments) {
  for (int i = 1; i < count; i += 2) {
    const std::string_view name = words[i];
    if ((name != "--rounds" && name != "--seed") || i + 1 == count) return false;
    uint64_t& value = name == "--seed" ? arguments.seed : arguments.rounds;
    const char* end = words[i + 1] + std::strlen(words[i + 1]);
    const auto [at, error] = std::from_chars(words[i + 1], end, value);
    if (error != std::errc() || at != end) return false;
  }
  return true;
}

// The rounds of one scenario; false if something did not hold.
bool live(uint64_t seed, uint64_t rounds, Tally& tally, size_t& acknowledged) {
  Scenario scenario(seed, tally);
  scenario.found();
  for (uint64_t i = 0; i < rounds && scenario.findings().empty(); ++i) {
    scenario.round(seed * kRoundsOfScenario + i);
    if (!scenario.findings().empty())
      std::printf("  in its round %llu:\n", static_cast<unsigned long long>(i));
  }
  if (scenario.findings().empty()) scenario.check_all();
  for (const std::string& finding : scenario.findings())
    std::printf("  %s\n", finding.c_str());
  acknowledged += scenario.acknowledged();
  return scenario.findings().empty();
}

int run(const Arguments& arguments) {
  Tally tally;
  size_t acknowledged = 0;
  uint64_t seed = arguments.seed;
  for (uint64_t left = arguments.rounds; left > 0; ++seed) {
    const uint64_t rounds = std::min(kRoundsOfScenario, left);
    left -= rounds;
    // Said first: a scenario that ends the process is known by it.
    std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
    std::fflush(stdout);
    if (!live(seed, rounds, tally, acknowledged)) return 1;
  }
  std::printf(
      "%llu rounds, %zu events acknowledged; cut while acting %zu, reclaiming %zu, purging %zu,"
      " entering again %zu, starting %zu\n",
      static_cast<unsigned long long>(arguments.rounds), acknowledged, tally.acting,
      tally.reclaiming, tally.purging, tally.entering, tally.opening);
  return tally.has_all() || arguments.rounds < kRoundsToSeeAll ? 0 : 1;
}

}  // namespace
}  // namespace polder::crash

int main(int count, char** words) {
  polder::crash::Arguments arguments;
  if (!polder::crash::parse(count, words, arguments)) {
    std::fprintf(stderr, "usage: polder_power [--rounds N] [--seed FIRST]\n");
    return 2;
  }
  return polder::crash::run(arguments);
}
