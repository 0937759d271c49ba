// The persistent map of room state beside two other ways to store it, on the same histories.
#include "bench/support/local_server.h"
#include "bench/support/state_models.h"
#include "storage/kv/rocks.h"
#include "storage/stores/base/columns.h"

namespace polder::stores {
namespace {

using bench::must;
using bench::StateModel;

constexpr uint32_t kMember = 2;  // the type
constexpr uint32_t kPowerLevels = 3;
constexpr size_t kReads = 200;
constexpr size_t kApart = 50;  // states whose difference is asked for

// Of which state each new one is made, and how. State n is made by step n; 0 is empty.
struct Step {
  size_t base = 0;
  std::vector<StateEdit> edits;
};
using History = std::vector<Step>;

StateEdit set(uint32_t type, uint64_t key, EventNumber event) {
  return {.key = {type, key}, .event = event};
}

// Members join one after the other.
History joins(size_t members) {
  History history;
  for (size_t i = 1; i <= members; ++i)
    history.push_back({.base = i - 1, .edits = {set(kMember, i, i)}});
  return history;
}

// Half of them join, then leave and come back in no order.
History churn(size_t members) {
  History history = joins(members / 2);
  for (size_t i = history.size() + 1; i <= members * 2; ++i)
    history.push_back({.base = i - 1, .edits = {set(kMember, 1 + i * 7919 % (members / 2), i)}});
  return history;
}

// Half of them join; then power levels change on one side of a fork and members on the other, over
// and over, and what resolves the two builds on the first side.
History forks(size_t members) {
  History history = joins(members / 2);
  while (history.size() < members * 2) {
    const size_t base = history.size();
    const StateEdit levels = set(kPowerLevels, 1, base + 1);
    const StateEdit member = set(kMember, 1 + base * 7919 % (members / 2), base + 2);
    history.push_back({.base = base, .edits = {levels}});
    history.push_back({.base = base, .edits = {member}});
    history.push_back({.base = base + 1, .edits = {member}});
  }
  return history;
}

struct Case {
  const char* name;  // history and model
  std::unique_ptr<StateModel> (*make)(kv::Database&);
  History (*generate)(size_t members);
};

double micros(std::chrono::nanoseconds time, size_t count) {
  return std::chrono::duration<double, std::micro>(time).count() / static_cast<double>(count);
}

// The times of a number of reads of states that are spread over the history.
template <class F>
double timed(size_t states, F read) {
  const auto begun = bench::cpu_time();
  for (size_t i = 0; i < kReads; ++i)
    read(1 + i * 104'729 % states);
  return micros(bench::cpu_time() - begun, kReads);
}

uint64_t row_bytes(kv::Database& database) {
  uint64_t bytes = 0;
  const auto snapshot = database.snapshot();
  const auto rows = snapshot->iterate(kStateNodes, {});
  for (rows->seek_to_first(); rows->valid(); rows->next())
    bytes += rows->key().size() + rows->value().size();
  must(rows->status());
  return bytes;
}

void measure(benchmark::State& state, const Case& asked, size_t members) {
  const bench::TemporaryDirectory directory;
  base::NullLog log;
  const auto files = files::real_files();
  const auto database = must(kv::open_rocks(
      {.files = *files, .log = log, .directory = directory.path(), .log_keep_bytes = 0}, kColumns));
  const auto model = asked.make(*database);
  const History history = asked.generate(members);
  std::vector<StateModel::State> states = {0};
  const auto begun = bench::cpu_time();
  for ([[maybe_unused]] auto _ : state) {
    for (const Step& step : history)
      states.push_back(model->apply(states[step.base], step.edits));
  }
  const size_t count = history.size();
  state.counters["append_us"] = micros(bench::cpu_time() - begun, count);
  state.counters["row_bytes"] =
      static_cast<double>(row_bytes(*database)) / static_cast<double>(count);
  must(database->flush());
  must(database->compact());
  state.counters["disk_bytes"] =
      static_cast<double>(must(database->disk_bytes())) / static_cast<double>(count);
  state.counters["key_us"] = timed(count, [&](size_t n) {
    benchmark::DoNotOptimize(model->get(states[n], {kMember, 1 + n * 31 % members}));
  });
  state.counters["all_us"] =
      timed(count, [&](size_t n) { benchmark::DoNotOptimize(model->all(states[n])); });
  state.counters["diff_us"] = timed(count, [&](size_t n) {
    benchmark::DoNotOptimize(model->difference(states[n], states[n > kApart ? n - kApart : count]));
  });
  // The same of every model.
  std::string result;
  for (const size_t n : {size_t{1}, count / 3, count / 2, count}) {
    for (const StateEntry& entry : model->all(states[n])) {
      for (const uint64_t word : {uint64_t{entry.key.type}, entry.key.key, entry.event})
        result += std::to_string(word) + " ";
    }
    result += std::to_string(model->difference(states[n], states[count / 4 + 1])) + "\n";
  }
  bench::set_result(state, result);
}

}  // namespace

void add_benchmarks(const bench::Options& options) {
  const std::vector<Case> cases = {
      {"joins/map", bench::make_persistent_map, joins},
      {"joins/layers", bench::make_layered_deltas, joins},
      {"joins/groups", bench::make_group_snapshots, joins},
      {"churn/map", bench::make_persistent_map, churn},
      {"churn/layers", bench::make_layered_deltas, churn},
      {"churn/groups", bench::make_group_snapshots, churn},
      {"forks/map", bench::make_persistent_map, forks},
      {"forks/layers", bench::make_layered_deltas, forks},
      {"forks/groups", bench::make_group_snapshots, forks},
  };
  const size_t members = options.smoke ? 250 : 10'000;
  for (const Case& asked : cases) {
    const std::string name = std::string("state/") + asked.name;
    benchmark::RegisterBenchmark(name.c_str(), measure, asked, members)
        ->Iterations(1)
        ->Repetitions(1)
        ->Unit(benchmark::kMillisecond);
  }
}

}  // namespace polder::stores

int main(int argc, char** argv) {
  return polder::bench::run(argc, argv, polder::stores::add_benchmarks);
}
