// Writes cases of state resolution with Polder's results, for the peer beside it to resolve and
// compare: histories that grow at random from seeds, or conflicts of known shape with times. Of
// many runs the shortest counts, on both sides: other work on the machine only ever adds.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>

#include "homeserver/protocol/dag/testing/random_room.h"
#include "homeserver/protocol/dag/testing/resolution_cases.h"

namespace polder::dag {
namespace {

using Steady = std::chrono::steady_clock;

StateMap resolve_or_end(const TestRoom& room, std::span<const StateMap> states, Source& source) {
  auto resolved = resolve(room.rules(), states, source);
  if (resolved.ok()) return *std::move(resolved);
  std::fprintf(stderr, "%s\n", resolved.error().message.c_str());
  std::exit(1);
}

void write_ids(const char* word, const TestRoom& room, const StateMap& state) {
  std::string line = word;
  for (const auto& [key, number] : state)
    line += " " + room.get(number)->id().str();
  std::puts(line.c_str());
}

void write(const std::string& name, std::string_view version, TestRoom& room,
           std::span<const StateMap> states, bool timed) {
  std::printf("case %.*s %s\n", static_cast<int>(version.size()), version.data(), name.c_str());
  for (EventNumber number = 1; number <= room.size(); ++number) {
    const events::Event& event = *room.get(number);
    std::printf("event %s %d %s\n", event.id().str().c_str(), room.rejected(number) ? 1 : 0,
                event.json().c_str());
  }
  for (const StateMap& state : states)
    write_ids("state", room, state);
  StateMap resolved;
  std::vector<Steady::duration> times;
  const auto begin = Steady::now();
  do {
    const auto start = Steady::now();
    StateMap result = resolve_or_end(room, states, room);
    times.push_back(Steady::now() - start);
    resolved = std::move(result);
  } while (timed && (Steady::now() - begin < std::chrono::seconds(2) || times.size() < 5));
  write_ids("ours", room, resolved);
  if (timed) {
    const std::chrono::nanoseconds best = *std::ranges::min_element(times);
    std::printf("time %lld\n", static_cast<long long>(best.count()));
  }
  std::puts("end");
}

// --- At random ---

void write_random(unsigned seed, const char* version) {
  RandomRoom random(version, seed);
  random.grow_by(40);
  if (seed % 4 < 2) random.reject_some();
  const auto states = random.some_states(seed % 2 == 1);
  write("seed " + std::to_string(seed), version, random.room(), states, false);
}

// --- Of known shape ---

// The beginning of a public room of Alice's, as names of auth events have it.
class Base {
 public:
  explicit Base(const char* version) : room(version) {
    const bool v12 = room.rules().room_id_is_create_hash;
    create_ = v12 ? Names{} : Names{"create"};
    room.add("create",
             state_event(kAlice, "m.room.create", R"({"creator":"@alice:a.example"})", {}, 0));
    room.add("alice", member(kAlice, kAlice, "join", with({}), 1));
    alice_ = v12 ? "" : R"("@alice:a.example":100)";
    room.add("levels", levels(kAlice, alice_, with({"alice"}), 2));
    room.add("public", state_event(kAlice, "m.room.join_rules", R"({"join_rule":"public"})",
                                   with({"alice", "levels"}), 3));
  }
  Names with(Names names) const {
    names.insert(names.begin(), create_.begin(), create_.end());
    return names;
  }
  // A level for Alice where she needs one, then that of others.
  std::string users(const std::string& others) const {
    return alice_ + (alice_.empty() || others.empty() ? "" : ",") + others;
  }
  StateMap state() const { return room.state({"create", "alice", "levels", "public"}); }

  TestRoom room;

 private:
  Names create_;
  std::string alice_;
};

std::string user(const std::string& name, size_t i) {
  return "@" + name + std::to_string(i) + ":example.com";
}

// Problem A with `size` of each of the two whose events conflict.
Conflict grown_a(const char* version, size_t size) {
  Base base(version);
  TestRoom& room = base.room;
  StateMap first = base.state();
  const auto join = [&](const std::string& name, size_t i) {
    const std::string id = name + std::to_string(i);
    return room.add(
        id, member(user(name, i), user(name, i), "join", base.with({"levels", "public"}), 4));
  };
  StateMap second = first;
  for (size_t i = 0; i < size; ++i) {
    room.put(second, join("bob", i));
    room.put(first, join("charlie", i));
  }
  room.put(first,
           room.add("private", state_event(kAlice, "m.room.join_rules", R"({"join_rule":"invite"})",
                                           base.with({"levels", "alice"}), 6)));
  const EventNumber left =
      room.add("left", member(kAlice, kAlice, "leave", base.with({"levels", "alice"}), 7));
  room.put(first, left);
  room.put(second, left);
  for (size_t i = 0; i < size; ++i) {
    for (const auto& [name, state] : {std::pair("bob", &first), std::pair("charlie", &second)}) {
      const std::string id = name + std::to_string(i);
      room.put(*state, room.add(id + "++", member(user(name, i), user(name, i), "join",
                                                  base.with({"levels", id, "private"}), 8, "++")));
    }
  }
  return {std::move(room), {first, second}};
}

// Problem B with 2 * size power levels between the two that conflict, and `size` of each member.
Conflict grown_b(const char* version, size_t size) {
  Base base(version);
  TestRoom& room = base.room;
  StateMap first = base.state();
  room.put(first, room.add("bob", member(kBob, kBob, "join", base.with({"levels", "public"}), 4)));
  StateMap second = first;
  std::string last = "levels";
  for (size_t i = 0; i < 2 * size; ++i) {
    const std::string next = "levels" + std::to_string(i);
    const std::string others = R"("@bob:b.example":50,"@x:x":)" + std::to_string(i % 50);
    const bool by_bob = i % 2 == 1;
    room.put(second, room.add(next, levels(by_bob ? kBob : kAlice, base.users(others),
                                           base.with({last, by_bob ? "bob" : "alice"}),
                                           static_cast<int64_t>(5 + i))));
    last = next;
  }
  const auto ts = static_cast<int64_t>(5 + 2 * size);
  for (size_t i = 0; i < size; ++i) {
    const std::string eve = "eve" + std::to_string(i);
    const auto join = [&](const std::string& name, Names auth, const std::string& shown) {
      return member(user(name, i), user(name, i), "join", base.with(std::move(auth)), ts, shown);
    };
    room.put(second, room.add("zara" + std::to_string(i), join("zara", {last, "public"}, "")));
    room.add(eve, join("eve", {last, "public"}, ""));
    room.put(first, room.add(eve + "++", join("eve", {last, eve, "public"}, "++")));
  }
  return {std::move(room), {first, second}};
}

// As many states as there are power levels events that know nothing of each other.
Conflict fork(const char* version, size_t ways) {
  Base base(version);
  std::vector<StateMap> states;
  for (size_t i = 0; i < ways; ++i) {
    const std::string others = R"("@bob:b.example":)" + std::to_string(i % 100);
    StateMap state = base.state();
    base.room.put(state,
                  base.room.add("fork" + std::to_string(i),
                                levels(kAlice, base.users(others), base.with({"alice", "levels"}),
                                       static_cast<int64_t>(4 + i))));
    states.push_back(std::move(state));
  }
  return {std::move(base.room), std::move(states)};
}

// Of `conflicted` members, one side saw half take another name; the other side saw all leave.
Conflict large(const char* version, size_t members, size_t conflicted) {
  Base base(version);
  TestRoom& room = base.room;
  std::vector<StateMap::value_type> joins;
  for (size_t i = 0; i < members; ++i) {
    const TestEvent join = member(user("u", i), user("u", i), "join",
                                  base.with({"levels", "public"}), static_cast<int64_t>(4 + i));
    joins.push_back({{join.type, *join.state_key}, room.add("u" + std::to_string(i), join)});
  }
  StateMap first = base.state();
  first.insert(joins.begin(), joins.end());
  StateMap second = first;
  const auto ts = static_cast<int64_t>(5 + members);
  for (size_t i = 0; i < conflicted; ++i) {
    const size_t who = i * (members / conflicted);
    const std::string id = "u" + std::to_string(who);
    if (i % 2 == 0) {
      room.put(first, room.add(id + "++", member(user("u", who), user("u", who), "join",
                                                 base.with({"levels", "public", id}), ts, "++")));
    }
    room.put(second, room.add(id + "--", member(user("u", who), user("u", who), "leave",
                                                base.with({"levels", id}), ts)));
  }
  return {std::move(room), {first, second}};
}

void write_shapes() {
  for (const char* version : {"11", "12"}) {
    const auto one = [version](const std::string& name, Conflict conflict) {
      write(name + ", version " + version, version, conflict.room, conflict.states, true);
    };
    one("MSC4297 problem A", problem_a(version));
    one("MSC4297 problem B", problem_b(version));
    one("problem A, a hundredfold", grown_a(version, 100));
    one("problem B, a hundredfold", grown_b(version, 100));
    one("power levels in 2000 ways", fork(version, 2000));
    one("50000 members, 500 in conflict", large(version, 50'000, 500));
  }
}

}  // namespace
}  // namespace polder::dag

int main(int argc, char** argv) {
  if (argc == 2 && argv[1] == std::string_view("shapes")) {
    polder::dag::write_shapes();
    return 0;
  }
  if (argc != 4 || argv[1] != std::string_view("random")) {
    std::fputs("shapes | random FIRST COUNT\n", stderr);
    return 2;
  }
  const auto first = static_cast<unsigned>(std::stoul(argv[2]));
  for (unsigned seed = first; seed < first + std::stoul(argv[3]); ++seed) {
    for (const char* version : {"2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"})
      polder::dag::write_random(seed, version);
  }
  return 0;
}
