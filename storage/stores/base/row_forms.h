// Rows as bytes, by the table of their kinds: which kind a row is of, whether it has that form, and
// the page that describes all of them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/stores/base/rows.h"

namespace polder::stores {

// The kind of a row with this key; nothing if none is declared.
const RowKind* find_row_kind(kv::ColumnId column, std::string_view key);
// What is wrong with the form of a row, for people: its kind is unknown, its key has other parts,
// or its value another format. Nothing if it is as declared.
std::optional<std::string> row_fault(kv::ColumnId column, std::string_view key,
                                     std::string_view value);

// Where the rows of a room or of a user are that stay so long.
using RowRange = std::pair<kv::ColumnId, kv::Range>;
std::vector<RowRange> rows_of(uint64_t owner, Lifetime lifetime);

// docs/formats/columns.md.
std::string describe_rows();

}  // namespace polder::stores
