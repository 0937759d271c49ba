#include "homeserver/users/data/account_data.h"

#include "homeserver/base/json/parse.h"
#include "homeserver/users/accounts/testing/accounts.h"
#include "storage/kv/testing/counting.h"

namespace polder::users {
namespace {

class AccountDataTest : public AccountsTest {
 protected:
  ~AccountDataTest() override {
    end_tasks();
    data_.reset();
  }

  std::unique_ptr<AccountData> data_ = std::make_unique<AccountData>(parts(), accounts_->turns());
};

// All of it goes into every first sync.
TEST_F(AccountDataTest, AccountDataIsBoundedByRoomAndByUser) {
  const stores::UserNumber user = 7;
  const Parts parts{*runtime_, *database_, *committer_, *names_, ServerName::trusted("own")};
  AccountData data(parts, accounts_->turns(),
                   {.room_types = 3, .room_bytes = 4000, .types = 5, .bytes = 6000});
  const auto set = [&](stores::RoomNumber room, std::string type, size_t bytes) {
    const json::Object content{{"text", std::string(bytes, 'x')}};
    return run(data.set(user, room, std::move(type), content));
  };
  EXPECT_TRUE(set(0, "a", 1000).ok());
  EXPECT_TRUE(set(0, "b", 1000).ok());
  const auto large = set(0, "c", 3000);
  ASSERT_FALSE(large.ok());
  EXPECT_EQ(large.error().code, ErrorCode::kTooLarge);
  EXPECT_TRUE(set(0, "c", 1).ok());
  EXPECT_FALSE(set(0, "d", 1).ok()) << "too many types";
  EXPECT_FALSE(set(0, "a", 3000).ok());
  EXPECT_TRUE(set(0, "a", 1500).ok());
  EXPECT_TRUE(set(0, "a", 1).ok());
  EXPECT_TRUE(set(7, "a", 3500).ok());
  EXPECT_FALSE(set(8, "a", 3500).ok()) << "of all rooms together";
  EXPECT_TRUE(set(8, "a", 1).ok());
  EXPECT_FALSE(set(9, "a", 1).ok());
  EXPECT_TRUE(set(8, "a", 0).ok());
}

TEST_F(AccountDataTest, AccountDataHasPositionsAndChanges) {
  const UserId alice = add("alice");
  const auto number = **names_->find(stores::NameKind::kUser, alice.view());
  // The position of the change.
  const auto set = [&](stores::RoomNumber room, std::string type, std::string_view content) {
    EXPECT_TRUE(run(data_->set(number, room, std::move(type), *json::parse_object(content))).ok());
    return committer_->visible();
  };
  const kv::Position first = set(0, "m.direct", R"({"a":1})");
  const kv::Position second = set(7, "m.tag", R"({"tags":{"u.x":{"order":0.5}}})");
  EXPECT_GT(second, first);
  EXPECT_EQ(*run(data_->get(number, 7, "m.tag")), R"({"tags":{"u.x":{"order":0.5}}})");
  EXPECT_EQ(run(data_->get(number, 0, "m.tag")).error().code, ErrorCode::kNotFound);
  const auto changes =
      stores::read_account_data_changes(*database_->snapshot(), number, first, second);
  ASSERT_EQ(changes->size(), 1u);
  EXPECT_EQ(changes->at(0), std::pair(stores::RoomNumber{7}, std::string("m.tag")));
  EXPECT_EQ(stores::read_all_account_data(*database_->snapshot(), number, 0)->size(), 1u);
  // Of what was replaced, the stream keeps nothing.
  const kv::Position third = set(7, "m.tag", "{}");
  EXPECT_TRUE(
      stores::read_account_data_changes(*database_->snapshot(), number, first, second)->empty());
  EXPECT_EQ(
      stores::read_account_data_changes(*database_->snapshot(), number, second, third)->size(), 1u);
  EXPECT_EQ(run(data_->set(number, 0, std::string(256, 'x'), {})).error().code,
            ErrorCode::kInvalid);
  EXPECT_EQ(run(data_->set(number, 0, "x", {{"a", std::string(70'000, 'x')}})).error().code,
            ErrorCode::kTooLarge);
}

// Whoever fills their account data costs others no more with every change than who has little.
TEST_F(AccountDataTest, AChangeReadsTheSameHoweverMuchThereIs) {
  kv::CountingDatabase counting(*database_);
  const Parts parts{*runtime_, counting, *committer_, *names_, ServerName::trusted("own")};
  UserTurns turns(parts);
  AccountData data(parts, turns);
  const auto reads = [&](stores::RoomNumber room, const std::string& type, std::string text) {
    EXPECT_TRUE(run(data.set(7, room, type, {{"text", std::move(text)}})).ok());
    return counting.take_reads();
  };
  reads(0, "first", "");
  reads(1, "first", "");
  const size_t new_type = reads(0, "second", ""), longer = reads(0, "second", "x");
  for (size_t i = 0; i < 50; ++i) {
    reads(0, std::to_string(i), "");
    reads(1, std::to_string(i), "");
    reads(2 + i, "first", "");
  }
  EXPECT_EQ(reads(0, "third", ""), new_type);
  EXPECT_EQ(reads(0, "third", "x"), longer);
  end_tasks();
}

// Of account data that is older than its sizes, the first change finds them.
TEST_F(AccountDataTest, WhatWasNeverMeasuredCounts) {
  kv::Batch batch;
  for (const stores::RoomNumber room : {0u, 0u, 1u}) {
    const std::string type = "old " + std::to_string(batch.position_count());
    stores::put_account_data(batch, 7, room, type, "{}", batch.reserve_position(), 0);
  }
  ASSERT_TRUE(run(committer_->commit(std::move(batch))).ok());
  const auto sizes = [&](stores::RoomNumber room) {
    return *stores::read_account_data_sizes(*database_->snapshot(), 7, room);
  };
  using Size = stores::AccountDataSize;
  EXPECT_EQ(sizes(0).of_room, (Size{2, 14}));
  EXPECT_EQ(sizes(0).all, (Size{3, 21}));
  EXPECT_TRUE(run(data_->set(7, 0, "new", {})).ok());
  EXPECT_TRUE(run(data_->set(7, 0, "old 0", {{"a", 1}})).ok());
  EXPECT_TRUE(run(data_->set(7, 1, "old 2", {{"a", 1}})).ok());
  EXPECT_TRUE(run(data_->set(7, 1, "old 2", {})).ok());
  EXPECT_EQ(sizes(0).of_room, (Size{3, 24}));
  EXPECT_EQ(sizes(1).of_room, (Size{1, 7}));
  EXPECT_EQ(sizes(1).all, (Size{4, 31}));
}

// Each change is read once, however many there are since the token.
TEST_F(AccountDataTest, ChangesAreReadInOnePass) {
  constexpr size_t kRows = 3'000;
  kv::Batch batch;
  for (size_t i = 0; i < kRows; ++i) {
    const std::string type = "type " + std::to_string(i);
    stores::put_account_data(batch, 7, 1, type, "{}", batch.reserve_position(), 0);
  }
  const auto committed = run(committer_->commit(std::move(batch)));
  ASSERT_TRUE(committed.ok());
  kv::CountingDatabase counting(*database_);
  const auto changes =
      stores::read_account_data_changes(*counting.snapshot(), 7, 0, committed->first + kRows);
  EXPECT_EQ(changes->size(), kRows);
  EXPECT_LE(counting.take_reads(), kRows + 1);
}

TEST_F(AccountDataTest, FiltersAddedAtOnceGetIdsOfTheirOwn) {
  const auto number = **names_->find(stores::NameKind::kUser, add("alice").view());
  std::vector<std::string> ids(2);
  for (size_t i = 0; i < ids.size(); ++i) {
    runtime::spawn(*runtime_, runtime_->shard(0), "filter",
                   [](AccountData& data, stores::UserNumber user, std::string name,
                      std::string& id) -> Task<void> {
                     id = *co_await data.add_filter(user, {{"name", name}});
                   }(*data_, number, std::to_string(i), ids[i]));
  }
  EXPECT_TRUE(
      simulation_->run_until([&] { return !ids[0].empty() && !ids[1].empty(); }, Millis(60'000)));
  EXPECT_EQ(*run(data_->filter(number, ids[0])), R"({"name":"0"})");
  EXPECT_EQ(*run(data_->filter(number, ids[1])), R"({"name":"1"})");
}

TEST_F(AccountDataTest, TheSameFilterIsKeptOnce) {
  const auto number = **names_->find(stores::NameKind::kUser, add("alice").view());
  const auto first = run(data_->add_filter(number, *json::parse_object(R"({"room":{}})")));
  EXPECT_EQ(*run(data_->add_filter(number, *json::parse_object(R"({"room":{}})"))), *first);
  EXPECT_NE(*run(data_->add_filter(number, {})), *first);
  EXPECT_EQ(*run(data_->filter(number, *first)), R"({"room":{}})");
  for (const char* id : {"", "x", "99", "1x"})
    EXPECT_FALSE(run(data_->filter(number, id)).ok()) << id;
}

}  // namespace
}  // namespace polder::users
