// Authorising one event, and resolving the states of MSC4297.
#include "bench/support/bench.h"
#include "homeserver/protocol/dag/authorise.h"
#include "homeserver/protocol/dag/testing/resolution_cases.h"

namespace polder::dag {
namespace {

using bench::must;

// A public room of Alice, who may do all, and of Bob.
TestRoom public_room() {
  TestRoom room("12");
  room.add("create", state_event(kAlice, "m.room.create", "{}", {}, 0));
  room.add("alice", member(kAlice, kAlice, "join", {}, 1));
  room.add("levels", levels(kAlice, R"("@bob:b.example":50)", {"alice"}, 2));
  room.add("public", state_event(kAlice, "m.room.join_rules", R"({"join_rule":"public"})",
                                 {"alice", "levels"}, 3));
  room.add("bob", member(kBob, kBob, "join", {"levels", "public"}, 4));
  return room;
}

void authorise_event(benchmark::State& state, const TestEvent& what) {
  TestRoom room = public_room();
  std::vector<events::EventPtr> current;
  for (EventNumber number = 1; number <= room.size(); ++number)
    current.push_back(room.get(number));
  const events::EventPtr event = must(room.make("event", what));
  const EventListState room_state(current);
  for ([[maybe_unused]] auto _ : state)
    must(authorise(*event, room_state));
  bench::set_result(state, event->json());
}

std::string text_of(const Conflict& conflict, const StateMap& state) {
  std::string text;
  for (const std::string& name : conflict.room.names(state))
    text += name + ";";
  return text;
}

void resolve_conflict(benchmark::State& state, Conflict (*make)(const char*), const char* version) {
  Conflict conflict = make(version);
  StateMap resolved;
  for ([[maybe_unused]] auto _ : state)
    resolved = must(resolve(conflict.room.rules(), conflict.states, conflict.room));
  bench::set_result(state, text_of(conflict, resolved));
}

}  // namespace

void add_benchmarks(const bench::Options&) {
  const TestEvent message{.sender = kBob, .type = "m.room.message", .state_key = {}};
  const TestEvent join = member("@carol:a.example", "@carol:a.example", "join", {}, 5);
  benchmark::RegisterBenchmark("dag/authorise/message", authorise_event, message);
  benchmark::RegisterBenchmark("dag/authorise/join", authorise_event, join);
  for (const char* version : {"11", "12"}) {
    const std::string end = std::string("/version_") + version;
    benchmark::RegisterBenchmark(("dag/resolve/MSC4297_problem_A" + end).c_str(), resolve_conflict,
                                 problem_a, version);
    benchmark::RegisterBenchmark(("dag/resolve/MSC4297_problem_B" + end).c_str(), resolve_conflict,
                                 problem_b, version);
  }
}

}  // namespace polder::dag

int main(int argc, char** argv) {
  return polder::bench::run(argc, argv, polder::dag::add_benchmarks);
}
