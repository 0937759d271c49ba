// Tables of events, states and the rules that answer, for the tests of authorise().
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>
#include <vector>

#include "homeserver/protocol/dag/authorise.h"
#include "homeserver/protocol/dag/testing/room.h"

namespace polder::dag {

inline constexpr const char* kAlice = "@alice:a.example";  // created the room
inline constexpr const char* kBob = "@bob:b.example";
inline constexpr const char* kCarol = "@carol:a.example";

inline TestEvent member(const std::string& sender, const std::string& target,
                        const std::string& to) {
  return {.sender = sender,
          .type = "m.room.member",
          .state_key = target,
          .content = R"({"membership":")" + to + R"("})"};
}
inline TestEvent joined(const std::string& user) {
  return member(user, user, "join");
}
inline TestEvent levels(const std::string& content, const std::string& sender = kAlice) {
  return {.sender = sender, .type = "m.room.power_levels", .state_key = "", .content = content};
}
inline TestEvent join_rule(const std::string& rule) {
  return {.sender = kAlice,
          .type = "m.room.join_rules",
          .state_key = "",
          .content = R"({"join_rule":")" + rule + R"("})"};
}
inline TestEvent message(const std::string& sender) {
  return {.sender = sender, .type = "m.room.message", .state_key = {}};
}
inline TestEvent state_event(const std::string& sender, const std::string& type,
                             const std::string& key) {
  return {.sender = sender, .type = type, .state_key = key};
}
inline TestEvent with_content(TestEvent event, const std::string& content) {
  event.content = content;
  return event;
}
inline TestEvent after(TestEvent event, const std::string& prev) {
  event.prev = {prev};
  return event;
}

// An event against a state. `expected` says what each version answers: "1:5.2.3 6:4.2.3 8:ok" is
// refused by rule 5.2.3 in versions 1 to 5, by 4.2.3 in 6 and 7, allowed from 8 on. "-" leaves
// versions out.
struct Case {
  const char* name;
  std::vector<TestEvent> state;  // besides the create event
  TestEvent event;
  const char* expected;
  const char* create = R"({"creator":"@alice:a.example"})";
};

inline std::string expected_in(int version, std::string_view expected) {
  std::string answer = "-";
  while (!expected.empty()) {
    std::string_view word = expected.substr(0, expected.find(' '));
    expected.remove_prefix(std::min(expected.size(), word.size() + 1));
    size_t colon = word.find(':');
    int from = 0;
    std::from_chars(word.data(), word.data() + colon, from);
    if (from <= version) answer = std::string(word.substr(colon + 1));
  }
  return answer;
}

// "ok", or the rule that refuses.
inline std::string answer_to(const Status& status) {
  if (status.ok()) return "ok";
  const std::string& message = status.error().message;
  if (status.error().code != ErrorCode::kForbidden || !message.starts_with("rule "))
    return "error: " + message;
  return message.substr(5, message.find(':') - 5);
}

inline std::string answer_in(const std::string& version, const Case& test) {
  TestRoom room(version);
  room.add("create",
           {.sender = kAlice, .type = "m.room.create", .state_key = "", .content = test.create});
  std::vector<events::EventPtr> state = {room.get("create")};
  for (size_t i = 0; i < test.state.size(); ++i) {
    std::string name = "s" + std::to_string(i);
    room.add(name, test.state[i]);
    state.push_back(room.get(name));
  }
  auto event = room.make("event", test.event);
  if (!event.ok()) return "malformed: " + event.error().message;
  return answer_to(authorise(**event, EventListState(state)));
}

inline void check(const std::vector<Case>& cases) {
  for (const Case& test : cases) {
    for (int version = 1; version <= 12; ++version) {
      std::string expected = expected_in(version, test.expected);
      if (expected == "-") continue;
      EXPECT_EQ(answer_in(std::to_string(version), test), expected)
          << test.name << ", version " << version;
    }
  }
}

inline const TestEvent kLevels = levels(
    R"({"users":{"@alice:a.example":100,"@bob:b.example":50,"@carol:a.example":50},"invite":40})");

}  // namespace polder::dag
