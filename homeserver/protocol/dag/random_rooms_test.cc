// Properties of state resolution over rooms that grow at random, from fixed seeds.
#include <algorithm>
#include <numeric>
#include <random>
#include <string>

#include "homeserver/protocol/dag/state_resolution.h"
#include "homeserver/protocol/dag/testing/naive_resolution.h"
#include "homeserver/protocol/dag/testing/naive_resolution_v1.h"
#include "homeserver/protocol/dag/testing/random_room.h"
#include "homeserver/protocol/dag/testing/room.h"

namespace polder::dag {
namespace {

// The same room with its events numbered in another order, auth events still first.
class Renumbered final : public Source {
 public:
  Renumbered(TestRoom& room, std::mt19937& random)
      : room_(room), to_(room.size() + 1), from_(room.size() + 1) {
    std::vector<EventNumber> left(room.size());
    std::iota(left.begin(), left.end(), EventNumber{1});
    std::shuffle(left.begin(), left.end(), random);
    EventNumber next = 1;
    while (!left.empty()) {
      auto ready = std::find_if(left.begin(), left.end(), [&](EventNumber number) {
        const auto& auth = room_.auth_of(number);
        return std::all_of(auth.begin(), auth.end(), [&](EventNumber one) { return to_[one]; });
      });
      to_[*ready] = next;
      from_[next++] = *ready;
      std::vector<EventNumber> auth_events;
      for (EventNumber auth : room_.auth_of(*ready))
        auth_events.push_back(to_[auth]);
      const events::Event& event = *room_.get(*ready);
      chains_.add(to_[*ready], {event.type(), *event.state_key()}, auth_events);
      left.erase(ready);
    }
  }

  StateMap renumber(const StateMap& state) const { return mapped(state, to_); }
  StateMap original(const StateMap& state) const { return mapped(state, from_); }

  Result<events::EventPtr> event(EventNumber number) override {
    return room_.event(from_.at(number));
  }
  Result<std::optional<EventNumber>> number_of(const EventId& id) override {
    POLDER_TRY(auto number, room_.number_of(id));
    if (number) number = to_[*number];
    return number;
  }
  Status auth_events(EventNumber number, std::vector<EventNumber>& out) override {
    for (EventNumber auth : room_.auth_of(from_.at(number)))
      out.push_back(to_[auth]);
    return {};
  }
  Result<bool> is_rejected(EventNumber number) override { return room_.rejected(from_.at(number)); }
  Result<ChainPlace> chain_place(EventNumber number) override {
    return chains_.chain_place(number);
  }

 private:
  static StateMap mapped(StateMap state, const std::vector<EventNumber>& numbers) {
    for (auto& [key, number] : state)
      number = numbers[number];
    return state;
  }

  TestRoom& room_;
  std::vector<EventNumber> to_;
  std::vector<EventNumber> from_;
  MemoryChains chains_;
};

class RandomRooms : public testing::TestWithParam<const char*> {};

constexpr unsigned kSeeds = 40;
constexpr int kEvents = 40;

TEST_P(RandomRooms, ResolveAsTheSpecificationWordsIt) {
  size_t differing = 0;
  for (unsigned seed = 0; seed < kSeeds; ++seed) {
    RandomRoom random(GetParam(), seed);
    random.grow_by(kEvents);
    if (seed % 3 == 0) random.reject_some();
    for (bool outdated : {false, true, true}) {
      auto states = random.some_states(outdated);
      auto result = resolve(random.room().rules(), states, random.room());
      ASSERT_TRUE(result.ok()) << result.error().message;
      ASSERT_EQ(random.room().names(*result),
                random.room().names(NaiveResolution(random.room()).resolve(states)))
          << "seed " << seed;
      differing += *result != states[0] && *result != states[1] ? 1 : 0;
    }
  }
  EXPECT_GT(differing, kSeeds / 2);  // or else nothing was tested
}

TEST(RandomRoomsOfVersion1, ResolveAsTheSpecificationWordsIt) {
  size_t differing = 0;
  for (unsigned seed = 0; seed < 5 * kSeeds; ++seed) {
    RandomRoom random("1", seed);
    random.grow_by(kEvents);
    for (bool outdated : {false, true}) {
      auto states = random.some_states(outdated);
      auto result = resolve(random.room().rules(), states, random.room());
      ASSERT_TRUE(result.ok()) << result.error().message;
      ASSERT_EQ(random.room().names(*result),
                random.room().names(NaiveResolutionV1(random.room()).resolve(states)))
          << "seed " << seed;
      differing += *result != states[0] && *result != states[1] ? 1 : 0;
    }
  }
  EXPECT_GT(differing, kSeeds);  // or else nothing was tested
}

// In whatever order the states come and the events were numbered.
class RandomRoomsReordered : public testing::TestWithParam<const char*> {};

TEST_P(RandomRoomsReordered, ResolveEqual) {
  for (unsigned seed = 100; seed < 100 + kSeeds; ++seed) {
    RandomRoom random(GetParam(), seed);
    random.grow_by(kEvents);
    auto states = random.some_states(seed % 2 == 0);
    if (seed % 3 == 0) random.reject_some();
    auto expected = resolve(random.room().rules(), states, random.room());
    ASSERT_TRUE(expected.ok());
    for (int i = 0; i < 4; ++i) {
      std::shuffle(states.begin(), states.end(), random.random());
      Renumbered other(random.room(), random.random());
      std::vector<StateMap> renumbered;
      for (const StateMap& state : states)
        renumbered.push_back(other.renumber(state));
      auto result = resolve(random.room().rules(), renumbered, other);
      ASSERT_TRUE(result.ok());
      ASSERT_EQ(random.room().names(other.original(*result)), random.room().names(*expected))
          << "seed " << seed;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Versions, RandomRooms, testing::Values("2", "6", "11", "12"));
INSTANTIATE_TEST_SUITE_P(Versions, RandomRoomsReordered,
                         testing::Values("1", "2", "6", "11", "12"));

}  // namespace
}  // namespace polder::dag
