#include "storage/stores/audit/audit_rows.h"

#include <gtest/gtest.h>

#include "storage/kv/memory.h"
#include "storage/stores/base/columns.h"

namespace polder::stores {
namespace {

TEST(AuditRows, AreReadInTheOrderOfTheirPositions) {
  kv::MemoryDisk disk;
  const auto database = kv::open_memory(kColumns, disk);
  kv::Batch batch;
  for (const char* act : {"redact", "join", "kick"}) {
    AuditRecord record;
    record.at_ms = 5;
    record.actor_kind = "client";
    record.actor = "@a:own";
    record.device = "D";
    record.act = act;
    record.permitted = record.act == "kick";
    record.by = record.permitted ? "moderation" : "guests";
    record.room = "!r:own";
    record.target = "@b:own";
    record.event = record.permitted ? "$e" : "";
    record.left_out = 3;
    put_audit(batch, record);
  }
  batch.fill_positions(7);
  const kv::Batch* const batches[] = {&batch};
  ASSERT_TRUE(database->write(batches, 7, true).ok());
  const auto all = *read_audit(*database->snapshot(), 0, 10);
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[2].position, 9u);
  EXPECT_EQ(all[2].act, "kick");
  EXPECT_TRUE(all[2].permitted);
  EXPECT_EQ(all[2].by, "moderation");
  EXPECT_EQ(all[2].event, "$e");
  EXPECT_EQ(all[0].at_ms, 5);
  EXPECT_EQ(all[0].actor_kind, "client");
  EXPECT_EQ(all[0].actor, "@a:own");
  EXPECT_EQ(all[0].device, "D");
  EXPECT_EQ(all[0].room, "!r:own");
  EXPECT_EQ(all[0].target, "@b:own");
  EXPECT_EQ(all[0].left_out, 3u);
  const auto later = *read_audit(*database->snapshot(), 7, 1);
  ASSERT_EQ(later.size(), 1u);
  EXPECT_EQ(later[0].position, 8u);
  kv::Batch erasing;
  erase_audit(erasing, 7, 8);
  const kv::Batch* const erased[] = {&erasing};
  ASSERT_TRUE(database->write(erased, 10, true).ok());
  std::vector<kv::Position> left;
  ASSERT_TRUE(
      for_each_audit(*database->snapshot(), 0, [&](const AuditRecord& record, size_t bytes) {
        left.push_back(record.position);
        EXPECT_GT(bytes, 30u);
        return true;
      }).ok());
  EXPECT_EQ(left, (std::vector<kv::Position>{7, 9}));
}

}  // namespace
}  // namespace polder::stores
