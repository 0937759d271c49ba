#include <limits>

#include "storage/keys/key.h"
#include "storage/keys/value.h"

namespace polder::keys {
namespace {

TEST(Key, PartsComeBackInOrder) {
  const KeyWriter key = KeyWriter(7).u32(1).u64(2).text("type").descending(3).tail("rest");
  KeyReader reader(key);
  EXPECT_EQ(reader.u8(), 7);
  EXPECT_EQ(reader.u32(), 1u);
  EXPECT_EQ(reader.u64(), 2u);
  EXPECT_EQ(reader.text(), "type");
  EXPECT_EQ(reader.descending(), 3u);
  EXPECT_EQ(reader.tail(), "rest");
  EXPECT_TRUE(reader.at_end());
}

TEST(Key, SortsAsItsNumbersDo) {
  const std::vector<uint64_t> ascending = {0,   1,          255,
                                           256, 1ull << 32, std::numeric_limits<uint64_t>::max()};
  for (size_t i = 1; i < ascending.size(); ++i) {
    EXPECT_LT(KeyWriter(1).u64(ascending[i - 1]).str(), KeyWriter(1).u64(ascending[i]).str());
    EXPECT_GT(KeyWriter(1).descending(ascending[i - 1]).str(),
              KeyWriter(1).descending(ascending[i]).str());
  }
}

TEST(Key, EveryTruncationIsNoticed) {
  const std::string full = KeyWriter(1).u64(2).text("abc").str();
  for (size_t size = 0; size < full.size(); ++size) {
    KeyReader reader(std::string_view(full).substr(0, size));
    reader.u8();
    reader.u64();
    reader.text();
    EXPECT_FALSE(reader.ok()) << size;
  }
}

TEST(Value, NumbersOfEverySizeComeBack) {
  for (const int64_t number :
       {int64_t{0}, int64_t{1}, int64_t{-1}, int64_t{63}, int64_t{-64}, int64_t{1} << 40,
        std::numeric_limits<int64_t>::max(), std::numeric_limits<int64_t>::min()}) {
    const ValueWriter value =
        ValueWriter(1).signed_varint(number).varint(static_cast<uint64_t>(number)).fixed64(9);
    ValueReader reader(value, 1);
    EXPECT_EQ(reader.signed_varint(), number);
    EXPECT_EQ(reader.varint(), static_cast<uint64_t>(number));
    EXPECT_EQ(reader.fixed64(), 9u);
    EXPECT_TRUE(reader.finish("numbers").ok());
  }
}

TEST(Value, RefusesAnotherFormatTruncationAndTrailingBytes) {
  const std::string value = ValueWriter(2).text("hello").varint(300).str();
  EXPECT_FALSE(ValueReader(value, 1).ok());
  for (size_t size = 0; size < value.size(); ++size) {
    ValueReader reader(std::string_view(value).substr(0, size), 2);
    reader.text();
    reader.varint();
    EXPECT_FALSE(reader.finish("test").ok()) << size;
  }
  ValueReader reader(value, 2);
  reader.text();
  EXPECT_EQ(reader.finish("test").error().code, ErrorCode::kCorrupt);
}

TEST(Value, RefusesVarintsBeyond64Bits) {
  const std::string value = std::string(1, '\1') + std::string(9, '\xff') + "\x7f";
  ValueReader reader(value, 1);
  reader.varint();
  EXPECT_FALSE(reader.ok());
}

TEST(Value, ALengthBeyondTheEndIsNoticed) {
  const ValueWriter value = ValueWriter(1).varint(std::numeric_limits<uint64_t>::max());
  ValueReader reader(value, 1);
  EXPECT_EQ(reader.text(), "");
  EXPECT_FALSE(reader.ok());
}

}  // namespace
}  // namespace polder::keys
