#include "homeserver/server/audit.h"

#include <gtest/gtest.h>

#include "homeserver/base/runtime/simulated.h"
#include "homeserver/base/runtime/testing/outcome.h"
#include "storage/kv/memory.h"
#include "storage/stores/audit/audit_rows.h"
#include "storage/stores/base/columns.h"

namespace polder::server {
namespace {

constexpr Millis kDay{86'400'000};

class AuditTest : public testing::Test {
 protected:
  ~AuditTest() override { simulation_->crash(*runtime_); }

  template <class T>
  T wait(Task<T> task) {
    return runtime::outcome(*simulation_, *runtime_, std::move(task), Millis(600'000));
  }
  // At positions that follow each other, all of now and of one size.
  void record(const std::string& actor, const std::string& act, bool permitted, size_t count = 1) {
    kv::Batch batch;
    for (size_t i = 0; i < count; ++i) {
      stores::AuditRecord one;
      one.at_ms = runtime_->clock().wall_ms();
      one.actor_kind = "client";
      one.actor = actor;
      one.act = act;
      one.permitted = permitted;
      one.by = "a rule";
      stores::put_audit(batch, one);
    }
    ASSERT_TRUE(wait(committer_->commit(std::move(batch))).ok());
  }
  std::vector<kv::Position> positions() {
    std::vector<kv::Position> found;
    const auto all = *stores::read_audit(*database_->snapshot(), 0, 100'000);
    for (const stores::AuditRecord& one : all)
      found.push_back(one.position);
    return found;
  }
  uint64_t bytes() {
    uint64_t all = 0;
    EXPECT_TRUE(stores::for_each_audit(*database_->snapshot(), 0, [&](const auto&, size_t size) {
                  return all += size, true;
                }).ok());
    return all;
  }
  std::vector<std::string> list(const AuditFilter& filter) {
    std::vector<std::string> lines;
    EXPECT_TRUE(list_audit(*database_, filter, [&](const std::string& line) {
                  lines.push_back(line);
                }).ok());
    return lines;
  }

  kv::MemoryDisk disk_;
  std::unique_ptr<runtime::Simulation> simulation_ = runtime::Simulation::create(1);
  std::unique_ptr<runtime::Runtime> runtime_ = simulation_->add_runtime("a");
  std::unique_ptr<kv::Database> database_ = kv::open_memory(stores::kColumns, disk_);
  std::unique_ptr<kv::Committer> committer_ = kv::Committer::create(*runtime_, *database_);
};

TEST_F(AuditTest, RecordsAreListedAsLinesOfJson) {
  record("@a:own", "redact", true);
  record("@b:own", "join", false);
  const auto all = list({});
  ASSERT_EQ(all.size(), 2u);
  EXPECT_NE(all[0].find(R"("act":"redact","actor":"@a:own","actor_kind":"client","at":"2)"),
            std::string::npos)
      << all[0];
  EXPECT_NE(all[0].find(R"("permitted":true,"position":1)"), std::string::npos) << all[0];
  EXPECT_EQ(all[0].find("device"), std::string::npos) << "what is not given is left out";
}

TEST_F(AuditTest, WhatIsListedCanBeChosen) {
  record("@a:own", "redact", true, 3);
  record("@b:own", "join", false, 2);
  EXPECT_EQ(list({.actor = "@b:own"}).size(), 2u);
  EXPECT_EQ(list({.act = "redact"}).size(), 3u);
  EXPECT_EQ(list({.refused = true}).size(), 2u);
  EXPECT_EQ(list({.room = "!r:own"}).size(), 0u);
  EXPECT_EQ(list({.after = 4}).size(), 1u);
  const auto first = list({.after = 1, .limit = 1});
  ASSERT_EQ(first.size(), 1u);
  EXPECT_NE(first[0].find("\"position\":2"), std::string::npos);
}

TEST_F(AuditTest, WhatIsTooOldGoes) {
  record("@a:own", "kick", true, 3);
  simulation_->run_for(kDay * 10);
  record("@a:own", "kick", true, 2);
  AuditRetention retention(*runtime_, *database_, *committer_, {.age = kDay * 11});
  EXPECT_EQ(*wait(retention.pass()), 0u);
  simulation_->run_for(kDay * 2);
  EXPECT_EQ(*wait(retention.pass()), 3u);
  EXPECT_EQ(positions(), (std::vector<kv::Position>{4, 5}));
}

TEST_F(AuditTest, OfWhatIsTooMuchTheOldestGoes) {
  record("@a:own", "kick", true, 12'000);
  const uint64_t of_one = bytes() / 12'000;
  AuditRetention all(*runtime_, *database_, *committer_, {});
  EXPECT_EQ(*wait(all.pass()), 0u);
  AuditRetention few(*runtime_, *database_, *committer_, {.bytes = of_one * 100});
  EXPECT_EQ(*wait(few.pass()), 11'900u);
  EXPECT_EQ(positions().front(), 11'901u);
  EXPECT_LE(bytes(), of_one * 100);
  EXPECT_EQ(*wait(few.pass()), 0u);
}

TEST_F(AuditTest, RetentionIsAJobThatGoesOnUntilItIsStopped) {
  AuditRetention retention(*runtime_, *database_, *committer_, {.age = kDay});
  runtime::spawn(*runtime_, runtime_->shard(0), kAuditJob, retention.run(kDay));
  record("@a:own", "kick", true);
  simulation_->run_for(kDay * 3);
  EXPECT_TRUE(positions().empty());
  ASSERT_TRUE(runtime_->jobs().stop(kAuditJob).ok());
  record("@a:own", "kick", true);
  simulation_->run_for(kDay * 3);
  EXPECT_EQ(positions().size(), 1u);
}

}  // namespace
}  // namespace polder::server
