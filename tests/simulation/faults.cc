// What goes wrong, and for how long.
#include <array>

#include "tests/simulation/history.h"

namespace polder::simulation {
namespace {

// In the middle of whatever is going on: after any step of any server.
void crash(History& history) {
  uint64_t steps = history.below(200);
  history.world().run_until([&steps] { return steps-- == 0; }, Millis(5000));
  history.crash(history.below(history.world().size()));
}

void crash_all(History& history) {
  for (size_t i = 0; i < history.world().size(); ++i)
    history.crash(i);
}

// Writes fail from now on, until somebody starts the server again.
void break_disk(History& history) {
  const size_t server = history.below(history.world().size());
  if (!history.world().is_up(server)) return;
  history.world().disk(server).fail_after(1 + history.below(5));
  history.later(Millis(history.below(10'000)), [&history, server] {
    history.crash(server);
    history.world().disk(server).repair();
  });
}

void cut(History& history) {
  const size_t count = history.world().size();
  if (count < 2) return;
  const size_t one = history.below(count);
  const size_t other = (one + 1 + history.below(count - 1)) % count;
  World& world = history.world();
  world.network().cut(world.name(one), world.name(other));
  history.later(Millis(history.below(40'000)),
                [&world, one, other] { world.network().mend(world.name(one), world.name(other)); });
}

void worsen_network(History& history) {
  Conditions conditions;
  conditions.delay_max = Millis(20 + history.below(3000));
  conditions.request_lost = static_cast<uint32_t>(history.below(300));
  conditions.answer_lost = static_cast<uint32_t>(history.below(300));
  conditions.repeated = static_cast<uint32_t>(history.below(300));
  history.world().network().set_conditions(conditions);
  history.later(Millis(history.below(30'000)),
                [&history] { history.world().network().set_conditions({}); });
}

constexpr auto kFaults = std::to_array<Fault>({
    {"crash", 10, crash},
    {"crash_all", 1, crash_all},
    {"break_disk", 2, break_disk},
    {"cut", 6, cut},
    {"worsen_network", 6, worsen_network},
});

}  // namespace

std::span<const Fault> faults() {
  return kFaults;
}

}  // namespace polder::simulation
