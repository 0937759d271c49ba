// Conflicts whose resolution is known, for the tests and the benchmarks of state resolution, and
// the events that they are made of.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "homeserver/protocol/dag/testing/room.h"

namespace polder::dag {

inline constexpr const char* kAlice = "@alice:a.example";
inline constexpr const char* kBob = "@bob:b.example";

using Names = std::vector<std::string>;

inline TestEvent member(const std::string& sender, const std::string& target, const std::string& to,
                        Names auth, int64_t ts, const std::string& name = "") {
  return {.sender = sender,
          .type = "m.room.member",
          .state_key = target,
          .content = R"({"membership":")" + to + R"(","displayname":")" + name + R"("})",
          .auth = std::move(auth),
          .ts = ts};
}
inline TestEvent state_event(const std::string& sender, const std::string& type,
                             const std::string& content, Names auth, int64_t ts) {
  return {.sender = sender,
          .type = type,
          .state_key = "",
          .content = content,
          .auth = std::move(auth),
          .ts = ts};
}
inline TestEvent levels(const std::string& sender, const std::string& users, Names auth,
                        int64_t ts) {
  return state_event(sender, "m.room.power_levels", R"({"users":{)" + users + "}}", std::move(auth),
                     ts);
}
inline TestEvent topic(const std::string& sender, Names auth, int64_t ts) {
  return state_event(sender, "m.room.topic", R"({"topic":")" + std::to_string(ts) + R"("})",
                     std::move(auth), ts);
}

// States that differ, of one room.
struct Conflict {
  TestRoom room;
  std::vector<StateMap> states;
};

// MSC4297, problem A: the outdated state of one fork has older join rules; in the meantime Alice,
// who set all of them, has left.
inline Conflict problem_a(const char* version) {
  TestRoom room(version);
  const bool v12 = room.rules().room_id_is_create_hash;
  auto with = [v12](Names names) {
    if (!v12) names.insert(names.begin(), "create");
    return names;
  };
  const char* bob = "@bob:example.com";
  const char* charlie = "@charlie:example.com";
  room.add("create", state_event(kAlice, "m.room.create", "{}", {}, 0));
  room.add("alice", member(kAlice, kAlice, "join", with({}), 1));
  room.add("levels", levels(kAlice, v12 ? "" : R"("@alice:a.example":100)", with({"alice"}), 2));
  room.add("public", state_event(kAlice, "m.room.join_rules", R"({"join_rule":"public"})",
                                 with({"alice", "levels"}), 3));
  room.add("bob", member(bob, bob, "join", with({"levels", "public"}), 4));
  room.add("charlie", member(charlie, charlie, "join", with({"levels", "public"}), 5));
  room.add("private", state_event(kAlice, "m.room.join_rules", R"({"join_rule":"invite"})",
                                  with({"levels", "alice"}), 6));
  room.add("alice left", member(kAlice, kAlice, "leave", with({"levels", "alice"}), 7));
  room.add("bob++", member(bob, bob, "join", with({"levels", "bob", "private"}), 8, "bob++"));
  room.add("charlie++", member(charlie, charlie, "join", with({"levels", "charlie", "private"}), 9,
                               "charlie++"));
  std::vector<StateMap> states = {
      room.state({"create", "levels", "charlie", "private", "alice left", "bob++"}),
      room.state({"create", "levels", "public", "bob", "alice left", "charlie++"})};
  return {std::move(room), std::move(states)};
}

// MSC4297, problem B: the outdated state of one fork has the first of three power levels events,
// of which the third stands on the second.
inline Conflict problem_b(const char* version) {
  TestRoom room(version);
  const bool v12 = room.rules().room_id_is_create_hash;
  auto with = [v12](Names names) {
    if (!v12) names.insert(names.begin(), "create");
    return names;
  };
  const std::string alice = v12 ? "" : R"("@alice:a.example":100,)";
  const char* charlie = "@charlie:a.example";
  const char* zara = "@zara:a.example";
  const char* eve = "@eve:a.example";
  room.add("create", state_event(kAlice, "m.room.create", "{}", {}, 0));
  room.add("alice", member(kAlice, kAlice, "join", with({}), 1));
  room.add("levels0", levels(kAlice, v12 ? "" : R"("@alice:a.example":100)", with({"alice"}), 2));
  room.add("public", state_event(kAlice, "m.room.join_rules", R"({"join_rule":"public"})",
                                 with({"alice", "levels0"}), 3));
  room.add("bob", member(kBob, kBob, "join", with({"levels0", "public"}), 4));
  room.add("charlie", member(charlie, charlie, "join", with({"levels0", "public"}), 5));
  room.add("levels1",
           levels(kAlice, alice + R"("@bob:b.example":50)", with({"levels0", "alice"}), 6));
  room.add("levels2", levels(kBob, alice + R"("@bob:b.example":50,"@charlie:a.example":50)",
                             with({"levels1", "bob"}), 7));
  room.add("zara", member(zara, zara, "join", with({"levels2", "public"}), 8));
  room.add("eve", member(eve, eve, "join", with({"levels2", "public"}), 9));
  room.add("eve++", member(eve, eve, "join", with({"levels2", "eve", "public"}), 9, "eve++"));
  std::vector<StateMap> states = {
      room.state({"create", "alice", "levels0", "public", "bob", "charlie", "eve++"}),
      room.state({"create", "alice", "public", "bob", "charlie", "levels2", "zara"})};
  return {std::move(room), std::move(states)};
}

}  // namespace polder::dag
