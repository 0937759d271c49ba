#include "homeserver/base/values/result.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace polder::base {
namespace {

// Counts how many of its kind there are; it is only moved.
class Counted {
 public:
  explicit Counted(int& alive) : alive_(&alive) { ++*alive_; }
  Counted(Counted&& other) noexcept : alive_(other.alive_) { ++*alive_; }
  ~Counted() { --*alive_; }

 private:
  int* alive_;
};

const std::string kLong(100, 'x');  // which is on the heap

TEST(Result, HasItsValueOrItsError) {
  const Result<std::string> value = kLong;
  ASSERT_TRUE(value.ok());
  EXPECT_EQ(*value, kLong);
  const Result<std::string> error = fail(ErrorCode::kExists, kLong);
  ASSERT_FALSE(error.ok());
  EXPECT_EQ(error.error().code, ErrorCode::kExists);
  EXPECT_EQ(error.error().message, kLong);
  EXPECT_EQ(Result<int>(fail(ErrorCode::kIo, "x")).value_or(7), 7);
  EXPECT_EQ(Result<int>(3).value_or(7), 3);
}

TEST(Result, EndsEachValueOnce) {
  int alive = 0;
  {
    Result<Counted> first = Counted(alive);
    EXPECT_EQ(alive, 1);
    Result<Counted> second = std::move(first);
    EXPECT_EQ(alive, 2);  // what was moved from is there until it ends
    first = fail(ErrorCode::kIo, kLong);
    EXPECT_EQ(alive, 1);
    first = std::move(second);
    EXPECT_TRUE(first.ok());
    EXPECT_EQ(alive, 2);
    second = Counted(alive);
    EXPECT_EQ(alive, 2);
    std::vector<Result<Counted>> several;
    for (int i = 0; i < 10; ++i)
      several.emplace_back(Counted(alive));
    EXPECT_EQ(alive, 12);
  }
  EXPECT_EQ(alive, 0);
}

TEST(Result, IsCopiedWhereItsValueIs) {
  const Result<std::string> value = kLong;
  Result<std::string> copy = value;
  EXPECT_EQ(*copy, *value);
  copy = fail(ErrorCode::kIo, kLong);
  const Result<std::string> failed = copy;
  copy = value;
  EXPECT_EQ(failed.error().message, kLong);
  EXPECT_EQ(*copy, kLong);
}

TEST(Result, TakesAPartOfItself) {
  struct Node {
    std::unique_ptr<Result<Node>> next;
    std::string name;
  };
  Result<Node> list = Node{std::make_unique<Result<Node>>(Node{nullptr, kLong}), "first"};
  list = std::move(*list->next);
  EXPECT_EQ(list->name, kLong);
}

TEST(Status, IsGoodUnlessThereIsAnError) {
  Status status;
  EXPECT_TRUE(status.ok());
  status = fail(ErrorCode::kIo, kLong);
  const Status copy = status;
  Status moved = std::move(status);
  status = Status();
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(copy.error().message, kLong);
  EXPECT_EQ(std::move(moved).error().message, kLong);
}

TEST(ResultDeathTest, EndsTheProgramWhereTheAbsentSideIsWanted) {
  const Result<int> value = 1;
  const Result<int> error = fail(ErrorCode::kIo, "x");
  EXPECT_DEATH((void)*error, "");
  EXPECT_DEATH((void)value.error(), "");
  EXPECT_DEATH((void)Status().error(), "");
}

}  // namespace
}  // namespace polder::base
