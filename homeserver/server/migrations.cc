#include "homeserver/server/migrations.h"

#include "storage/keys/value.h"
#include "storage/stores/base/columns.h"

namespace polder::server {
namespace {

constexpr std::string_view kSchemaKey = "schema";
constexpr std::string_view kProgressKey = "migration";
constexpr uint8_t kFormat = 1;
constexpr size_t kBatchRows = 1000;
constexpr size_t kBatchBytes = size_t{1} << 20;
constexpr uint64_t kRowsLogged = 100'000;  // so many between two lines of the log

struct Progress {
  std::string name;    // of the migration that is under way
  std::string cursor;  // its next key
  uint64_t rows = 0;   // behind it
};

void put_progress(kv::Batch& batch, const Progress& progress) {
  batch.put(
      stores::kMeta, kProgressKey,
      keys::ValueWriter(kFormat).text(progress.name).text(progress.cursor).varint(progress.rows));
}

Result<std::optional<Progress>> read_progress(const kv::Snapshot& snapshot) {
  POLDER_TRY(const auto value, snapshot.get(stores::kMeta, kProgressKey));
  if (!value) return std::optional<Progress>();
  keys::ValueReader reader(*value, kFormat);
  Progress progress;
  progress.name = reader.text();
  progress.cursor = reader.text();
  progress.rows = reader.varint();
  POLDER_CHECK(reader.finish("migration"));
  return std::optional(std::move(progress));
}

Status write(kv::Database& database, const kv::Batch& batch) {
  const kv::Batch* one = &batch;
  return database.write({&one, 1}, database.last_position() + 1, true);
}

// Takes the next rows; false if there are none after them.
Result<bool> take_rows(const kv::Snapshot& snapshot, const Migration& migration, Progress& progress,
                       kv::Batch& batch) {
  const auto rows = snapshot.iterate(migration.column, {progress.cursor, {}});
  size_t taken = 0;
  for (rows->seek_to_first(); rows->valid(); rows->next()) {
    if (taken == kBatchRows || batch.bytes() > kBatchBytes) {
      progress.cursor = rows->key();
      return true;
    }
    POLDER_CHECK(migration.change(snapshot, rows->key(), rows->value(), batch));
    ++taken;
    ++progress.rows;
  }
  POLDER_CHECK(rows->status());
  return false;
}

class Run {
 public:
  Run(kv::Database& database, Schema schema, std::span<const Migration> migrations, Log& log)
      : database_(database), schema_(std::move(schema)), migrations_(migrations), log_(log) {}

  Status to(uint64_t target) {
    POLDER_TRY(auto under_way, read_progress(*database_.snapshot()));
    POLDER_TRY(size_t next, first(under_way));
    for (; next < migrations_.size(); ++next) {
      const Migration& migration = migrations_[next];
      if (migration.to > schema_.number + 1) break;
      Progress progress;
      progress.name = migration.name;
      if (under_way) progress = *std::exchange(under_way, std::nullopt);
      schema_.number = migration.to;
      POLDER_CHECK(run(next, std::move(progress)));
    }
    if (schema_.number == target) return {};
    return fail(ErrorCode::kUnsupported,
                "the database has schema " + std::to_string(schema_.number) +
                    ", from which no migration leads to this program's, " + std::to_string(target));
  }

 private:
  // The migration that is under way, or the first that leads on.
  Result<size_t> first(const std::optional<Progress>& under_way) const {
    size_t i = 0;
    if (!under_way) {
      while (i < migrations_.size() && migrations_[i].to <= schema_.number)
        ++i;
      return i;
    }
    while (i < migrations_.size() && migrations_[i].name != under_way->name)
      ++i;
    if (i < migrations_.size()) return i;
    return fail(ErrorCode::kUnsupported, "the database is in the midst of the migration '" +
                                             under_way->name +
                                             "', which this program does not know");
  }

  Status run(size_t at, Progress progress) {
    const Migration& migration = migrations_[at];
    for (uint64_t logged = progress.rows;;) {
      if (progress.rows == logged) tell("migrating", migration, progress);
      kv::Batch batch;
      put_schema(batch, schema_);
      POLDER_TRY(const bool more, take_rows(*database_.snapshot(), migration, progress, batch));
      if (more) {
        put_progress(batch, progress);
      } else {
        finish(at, batch);
      }
      POLDER_CHECK(write(database_, batch));
      if (!more) break;
      if (progress.rows >= logged + kRowsLogged) logged = progress.rows;
    }
    tell("migrated", migration, progress);
    return {};
  }

  // If the next one leads to the same schema, the database is not there before that is done, too.
  void finish(size_t at, kv::Batch& batch) const {
    if (at + 1 < migrations_.size() && migrations_[at + 1].to == migrations_[at].to) {
      put_progress(batch, {std::string(migrations_[at + 1].name), {}, 0});
    } else {
      batch.erase(stores::kMeta, kProgressKey);
    }
  }

  void tell(std::string_view what, const Migration& migration, const Progress& progress) {
    log_.info(what, {{"schema", migration.to}, {"name", migration.name}, {"rows", progress.rows}});
  }

  kv::Database& database_;
  Schema schema_;
  std::span<const Migration> migrations_;
  Log& log_;
};

}  // namespace

void put_schema(kv::Batch& batch, const Schema& schema) {
  batch.put(stores::kMeta, kSchemaKey,
            keys::ValueWriter(kFormat).varint(schema.number).text(schema.server_name).str());
}

Result<std::optional<Schema>> read_schema(const kv::Snapshot& snapshot, uint64_t newest) {
  POLDER_TRY(const auto value, snapshot.get(stores::kMeta, kSchemaKey));
  if (!value) return std::optional<Schema>();
  keys::ValueReader reader(*value, kFormat);
  Schema schema;
  schema.number = reader.varint();
  if (reader.ok() && schema.number > newest) {
    return fail(ErrorCode::kUnsupported,
                "the database has schema " + std::to_string(schema.number) +
                    ", which is newer than this program's, " + std::to_string(newest) +
                    ": run the program that wrote it last, or a newer one");
  }
  schema.server_name = reader.text();
  POLDER_CHECK(reader.finish("schema"));
  return std::optional(std::move(schema));
}

Status migrate(kv::Database& database, Schema schema, std::span<const Migration> migrations,
               uint64_t target, Log& log) {
  return Run(database, std::move(schema), migrations, log).to(target);
}

std::span<const Migration> all_migrations() {
  return {};
}

}  // namespace polder::server
