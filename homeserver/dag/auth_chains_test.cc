#include <functional>
#include <string>

#include "homeserver/dag/test_room.h"

namespace polder::dag {
namespace {

using Numbers = std::vector<EventNumber>;

class Agreed final : public UnconflictedState {
 public:
  explicit Agreed(Numbers numbers) : numbers_(std::move(numbers)) {}
  Result<std::optional<EventNumber>> find(events::StateKeyView) const override {
    return std::optional<EventNumber>();
  }
  Status each(const std::function<void(EventNumber)>& visit) const override {
    for (EventNumber number : numbers_)
      visit(number);
    return {};
  }

 private:
  Numbers numbers_;
};

// Events 1 to 6; 3 is in the chain of 5 and 6 but not of 4.
class AuthChains : public testing::Test {
 protected:
  AuthChains() : room_("2") {
    const std::vector<std::vector<std::string>> auth = {{},         {"1"},      {"1", "2"},
                                                        {"1", "2"}, {"1", "3"}, {"1", "3"}};
    for (size_t i = 0; i < auth.size(); ++i)
      room_.add(std::to_string(i + 1),
                {.sender = "@alice:a.example", .type = "x.type", .state_key = "", .auth = auth[i]});
  }
  TestRoom room_;
};

TEST_F(AuthChains, DifferenceIsWhatSomeChainsLack) {
  const Agreed nothing({});
  auto difference = room_.auth_difference({{{4}, {5}}, nothing});
  ASSERT_TRUE(difference.ok());
  EXPECT_EQ(*difference, Numbers{3});
}

TEST_F(AuthChains, ChainsOfUnconflictedEventsAreInEveryState) {
  const Agreed agreed({6});
  auto difference = room_.auth_difference({{{4}, {5}}, agreed});
  ASSERT_TRUE(difference.ok());
  EXPECT_EQ(*difference, Numbers{});
}

TEST_F(AuthChains, SubgraphIsWhatLiesBetween) {
  EXPECT_EQ(*room_.conflicted_subgraph(Numbers{2, 5}), (Numbers{2, 3, 5}));
  EXPECT_EQ(*room_.conflicted_subgraph(Numbers{4, 5}), (Numbers{4, 5}));
  EXPECT_EQ(*room_.conflicted_subgraph(Numbers{}), Numbers{});
}

}  // namespace
}  // namespace polder::dag
