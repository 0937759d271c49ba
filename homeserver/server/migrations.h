// How a database gets from one schema to the next: forward, row by row, in batches that each say
// how far they have got, so that a migration that was killed goes on where it was.
#pragma once

#include <array>
#include <functional>
#include <span>
#include <string_view>

#include "storage/kv/kv.h"

namespace polder::server {

// A walk over all rows of a column, in the order of their keys.
struct Migration {
  uint64_t to = 0;        // the schema that begins with it; several in a row may lead to one
  std::string_view name;  // on disk while it is under way; no other ever has it
  kv::ColumnId column = 0;
  // Adds to the batch what becomes of a row. What it writes into the same column does not come
  // after the row, or it would be met again.
  std::function<Status(const kv::Snapshot& snapshot, std::string_view key, std::string_view value,
                       kv::Batch& batch)>
      change;
};

// What of a database is known before it is read by this program.
struct Schema {
  uint64_t number = 0;
  std::string server_name;
};
void put_schema(kv::Batch& batch, const Schema& schema);
// Nothing if the database is empty. kUnsupported if the number is above `newest`: what comes after
// the number is not known then.
Result<std::optional<Schema>> read_schema(const kv::Snapshot& snapshot, uint64_t newest);

// Brings the database from its schema to `target`, and tells the log how far it is. From the first
// batch on it has the schema that the migration leads to, so that no program of before opens what
// is half migrated. kUnsupported if there is no way. Nobody else has the database open.
Status migrate(kv::Database& database, Schema schema, std::span<const Migration> migrations,
               uint64_t target, Log& log);

// In the order in which they are done. None is ever taken out or changed once it has been released.
std::span<const Migration> all_migrations();

}  // namespace polder::server
