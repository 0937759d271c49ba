#include "storage/stores/base/row_forms.h"

#include "storage/stores/base/testing/sample_rows.h"

namespace polder::stores {
namespace {

bool contains(const std::optional<std::string>& fault, std::string_view words) {
  return fault && fault->find(words) != std::string::npos;
}

TEST(Rows, EveryKindIsFoundByItsKeys) {
  for (const RowKind& kind : kRowKinds) {
    const RowKind* found = find_row_kind(kind.column, sample_key(kind, 7));
    ASSERT_NE(found, nullptr) << kind.name;
    EXPECT_EQ(found->name, kind.name);
    EXPECT_EQ(row_fault(kind.column, sample_key(kind, 7), sample_value(kind)), std::nullopt)
        << kind.name;
  }
}

TEST(Rows, UndeclaredTagsAndColumnsAreUnknown) {
  EXPECT_TRUE(contains(row_fault(kUsers, std::string(9, '\x09'), "\x01"),
                       "unknown kind of row in column users: tag 9"));
  EXPECT_TRUE(contains(row_fault(kMeta, "other", "\x01"), "unknown kind of row in column meta"));
  EXPECT_TRUE(contains(row_fault(kUsers, "", "\x01"), "an empty key"));
}

TEST(Rows, AKeyOfOtherPartsIsAFault) {
  for (const RowKind& kind : kRowKinds) {
    if (kind.key[0].form == Form::kLiteral) continue;
    std::string key = sample_key(kind, 7);
    const bool ends_with_rest =
        std::ranges::any_of(kind.key, [](const KeyPart& part) { return part.form == Form::kRest; });
    if (!ends_with_rest)
      EXPECT_TRUE(contains(row_fault(kind.column, key + "x", sample_value(kind)), "other parts"))
          << kind.name;
    const bool has_more = kind.key[0].form != Form::kNone && kind.key[0].form != Form::kRest;
    key.resize(kind.tag == kUntagged ? 0 : 1);
    if (has_more)
      EXPECT_TRUE(contains(row_fault(kind.column, key, sample_value(kind)), "other parts"))
          << kind.name;
  }
}

TEST(Rows, AValueOfAnotherFormatIsAFault) {
  for (const RowKind& kind : kRowKinds) {
    if (kind.format == kRawValue) continue;
    for (const std::string_view value : {"", "\x7f"}) {
      EXPECT_TRUE(contains(row_fault(kind.column, sample_key(kind, 7), value), "another format"))
          << kind.name;
    }
  }
}

// Of two owners, what is erased with the one is not the other's.
TEST(Rows, WhatEndsWithAnOwnerIsAllThatItsKindsSay) {
  for (const Lifetime lifetime : {Lifetime::kRoom, Lifetime::kPurge, Lifetime::kDeactivated}) {
    const auto ranges = rows_of(7, lifetime);
    const auto covered = [&](kv::ColumnId column, const std::string& key) {
      return std::ranges::any_of(ranges, [&](const RowRange& range) {
        return range.first == column && key >= range.second.from && key < range.second.to;
      });
    };
    for (const RowKind& kind : kRowKinds) {
      EXPECT_EQ(covered(kind.column, sample_key(kind, 7)), kind.lifetime == lifetime) << kind.name;
      EXPECT_FALSE(covered(kind.column, sample_key(kind, 8))) << kind.name;
    }
  }
}

TEST(Rows, ThePageNamesEveryKindAndColumn) {
  const std::string page = describe_rows();
  for (const RowKind& kind : kRowKinds)
    EXPECT_NE(page.find("| " + std::string(kind.name) + " |"), std::string::npos) << kind.name;
  for (const kv::ColumnSpec& column : kColumns)
    EXPECT_NE(page.find("| " + std::string(column.name) + " |"), std::string::npos);
}

}  // namespace
}  // namespace polder::stores
