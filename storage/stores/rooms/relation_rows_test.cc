#include "storage/stores/rooms/relation_rows.h"

#include "storage/kv/memory.h"
#include "storage/stores/base/columns.h"

namespace polder::stores {
namespace {

constexpr RoomNumber kRoom = 7;

class RelationRowsTest : public testing::Test {
 protected:
  void redact(RoomNumber room, EventNumber target, EventNumber redaction) {
    kv::Batch batch;
    put_redaction(batch, {room, target}, redaction);
    write(batch);
  }
  void relate(RoomNumber room, const EventId& parent, EventNumber child) {
    kv::Batch batch;
    Relation relation;
    relation.child = child;
    relation.rel_type = "m.thread";
    relation.type = "m.room.message";
    put_relation(batch, room, parent, relation, batch.reserve_position());
    batch.fill_positions(child);
    write(batch);
  }
  void write(const kv::Batch& batch) {
    const kv::Batch* const batches[] = {&batch};
    ASSERT_TRUE(database_->write(batches, ++position_, true).ok());
  }
  static EventId id(char c) { return EventId::trusted("$" + std::string(43, c)); }

  kv::Position position_ = 0;
  kv::MemoryDisk disk_;
  std::unique_ptr<kv::Database> database_ = kv::open_memory(kColumns, disk_);
};

TEST_F(RelationRowsTest, ALookupFindsTheSameRedactionsInAnyOrder) {
  redact(kRoom - 1, 5, 50);
  redact(kRoom + 1, 6, 60);
  for (const EventNumber target : std::vector<EventNumber>{3, 4, 9, 200})
    redact(kRoom, target, 1000 + target);
  const auto snapshot = database_->snapshot();
  const std::vector<std::vector<EventNumber>> orders = {
      {1, 2, 3, 4, 5, 8, 9, 10, 199, 200, 201},
      {201, 200, 199, 10, 9, 8, 5, 4, 3, 2, 1},
      {9, 9, 1, 4, 200, 3, 3, 5, 201, 2, 9},
  };
  for (const auto& order : orders) {
    RedactionLookup lookup(*snapshot, kRoom);
    for (const EventNumber target : order)
      EXPECT_EQ(*lookup.find(target), *read_redaction(*snapshot, {kRoom, target})) << target;
  }
}

TEST_F(RelationRowsTest, ALookupInARoomWithoutRedactionsFindsNone) {
  redact(kRoom + 1, 1, 2);
  const auto snapshot = database_->snapshot();
  RedactionLookup lookup(*snapshot, kRoom);
  for (const EventNumber target : std::vector<EventNumber>{7, 1, 100})
    EXPECT_EQ(*lookup.find(target), std::nullopt);
}

TEST_F(RelationRowsTest, WhatIsRelatedToIsFound) {
  relate(kRoom, id('a'), 1);
  relate(kRoom, id('c'), 2);
  relate(kRoom + 1, id('b'), 3);
  const auto snapshot = database_->snapshot();
  RelationLookup lookup(*snapshot, kRoom);
  EXPECT_TRUE(*lookup.any(id('c')));
  EXPECT_FALSE(*lookup.any(id('b')));
  EXPECT_TRUE(*lookup.any(id('a')));
  EXPECT_FALSE(*lookup.any(id('d')));
  RelationLookup elsewhere(*snapshot, kRoom + 2);
  EXPECT_FALSE(*elsewhere.any(id('a')));
}

}  // namespace
}  // namespace polder::stores
