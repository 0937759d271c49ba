#include "storage/kv/kv.h"

namespace polder::kv {
namespace {

std::string big_endian(uint64_t value) {
  std::string out;
  for (int shift = 56; shift >= 0; shift -= 8)
    out.push_back(static_cast<char>(value >> shift & 255));
  return out;
}

TEST(Batch, PositionsAreFilledWhereKeysAndValuesReferToThem) {
  Batch batch;
  const PositionSlot first = batch.reserve_position();
  const PositionSlot second = batch.reserve_position();
  const Batch::Patch in_key{1, second};
  const Batch::Patch in_value{0, first};
  batch.put(3, "k" + big_endian(0) + "z", {&in_key, 1}, big_endian(0) + "v", {&in_value, 1});
  batch.fill_positions(1000);
  EXPECT_EQ(batch.key(batch.ops()[0]), "k" + big_endian(1001) + "z");
  EXPECT_EQ(batch.value(batch.ops()[0]), big_endian(1000) + "v");
}

TEST(Batch, AnAppendedBatchKeepsItsOwnSlots) {
  Batch a;
  const PositionSlot slot_a = a.reserve_position();
  const Batch::Patch patch_a{0, slot_a};
  a.put(0, big_endian(0), {&patch_a, 1}, "a", {});
  Batch b;
  const PositionSlot slot_b = b.reserve_position();
  const Batch::Patch patch_b{0, slot_b};
  b.put(0, big_endian(0), {&patch_b, 1}, "b", {});
  b.erase(1, "gone");
  b.erase_range(1, "from", "to");
  EXPECT_EQ(a.append(b), 1u);
  a.fill_positions(7);
  ASSERT_EQ(a.ops().size(), 4u);
  EXPECT_EQ(a.key(a.ops()[0]), big_endian(7));
  EXPECT_EQ(a.key(a.ops()[1]), big_endian(8));
  EXPECT_EQ(a.value(a.ops()[1]), "b");
  EXPECT_EQ(a.key(a.ops()[2]), "gone");
  EXPECT_EQ(a.key(a.ops()[3]), "from");
  EXPECT_EQ(a.value(a.ops()[3]), "to");
}

TEST(PrefixRange, EndsAfterTheLastKeyWithThePrefix) {
  EXPECT_EQ(prefix_range("ab").to, "ac");
  EXPECT_EQ(prefix_range("a\xff").to, "b");
  EXPECT_EQ(prefix_range("\xff\xff").to, "");
  EXPECT_EQ(prefix_range("").to, "");
}

}  // namespace
}  // namespace polder::kv
