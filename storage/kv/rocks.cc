#include "storage/kv/rocks.h"

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/transaction_log.h>
#include <rocksdb/utilities/checkpoint.h>
#include <rocksdb/write_batch.h>
#include <rocksdb/write_buffer_manager.h>

#include <atomic>
#include <cstdarg>
#include <cstdio>

#include "homeserver/base/values/disk.h"
#include "storage/kv/rocks_figures.h"
#include "storage/kv/rocks_files.h"

namespace polder::kv {
namespace {

constexpr uint64_t kUnflushedLogBytes = uint64_t{256} << 20;     // replayed at start, at most
constexpr std::string_view kPositionKey("\0last_position", 14);  // in column 0, with every group
constexpr uint32_t kPositionColumn = 1;                          // as RocksDB counts
constexpr uint64_t kFirstSequence = 1;       // of an empty database's first write
constexpr size_t kLogDataBytes = 1 + 8 + 4;  // version, first position, count

rocksdb::Slice slice(std::string_view text) {
  return {text.data(), text.size()};
}
std::string_view view(const rocksdb::Slice& slice) {
  return {slice.data(), slice.size()};
}

void append_big_endian(std::string& out, uint64_t value, int bytes) {
  for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8)
    out.push_back(static_cast<char>(value >> shift & 255));
}

uint64_t read_big_endian(std::string_view bytes) {
  uint64_t value = 0;
  for (const char c : bytes)
    value = value << 8 | static_cast<uint8_t>(c);
  return value;
}

Error error_of(const rocksdb::Status& status) {
  if (status.IsCorruption()) return fail(ErrorCode::kCorrupt, status.ToString());
  if (status.IsNotFound()) return fail(ErrorCode::kNotFound, status.ToString());
  return fail(ErrorCode::kIo, status.ToString());
}

Status status_of(const rocksdb::Status& status) {
  return status.ok() ? Status() : Status(error_of(status));
}

rocksdb::ColumnFamilyOptions column_options(const RocksOptions& of, const ColumnSpec& column,
                                            const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.cache_index_and_filter_blocks = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  table.format_version = 5;
  table.block_size = column.access == Access::kPoint ? 4096 : 16384;
  if (column.access == Access::kPoint)
    table.filter_policy.reset(rocksdb::NewRibbonFilterPolicy(10));
  rocksdb::ColumnFamilyOptions options;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  options.write_buffer_size = of.write_buffer_bytes / 4;
  options.arena_block_size = 64 * 1024;  // most columns are written rarely
  options.compression = rocksdb::kLZ4Compression;
  options.bottommost_compression = rocksdb::kZSTD;
  options.level_compaction_dynamic_level_bytes = true;
  return options;
}

// RocksDB's warnings and errors, in the log of the program.
class RocksLog final : public rocksdb::Logger {
 public:
  explicit RocksLog(Log& log) : Logger(rocksdb::WARN_LEVEL), log_(log) {}
  using rocksdb::Logger::Logv;
  void Logv(const rocksdb::InfoLogLevel level, const char* format, va_list arguments) override {
    if (level < rocksdb::WARN_LEVEL || level == rocksdb::HEADER_LEVEL) return;
    std::array<char, 1024> text{};  // longer ones are cut
    std::vsnprintf(text.data(), text.size(), format, arguments);
    const LogLevel as = level == rocksdb::WARN_LEVEL ? LogLevel::kWarning : LogLevel::kError;
    const base::LogField message("message", text.data());
    log_.write(as, "rocksdb", {&message, 1});
  }
  void Logv(const char*, va_list) override {}       // without a level: never called
  void LogHeader(const char*, va_list) override {}  // all options of all columns

 private:
  Log& log_;
};

rocksdb::DBOptions database_options(const RocksOptions& options, rocksdb::Env& env) {
  rocksdb::DBOptions db;
  db.env = &env;
  db.info_log = std::make_shared<RocksLog>(options.log);
  db.create_if_missing = options.create_if_missing;
  db.paranoid_checks = true;
  // What was written after the last sync may be torn and is cut off. Damage before that is not
  // skipped but refused: kPointInTimeRecovery, the default, would drop acknowledged writes behind
  // it.
  db.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  db.track_and_verify_wals_in_manifest = true;
  db.recycle_log_file_num = 0;
  if (options.log_keep_seconds > 0 && options.log_keep_bytes > 0) {
    db.WAL_ttl_seconds = options.log_keep_seconds;
    db.WAL_size_limit_MB = std::max<uint64_t>(options.log_keep_bytes >> 20, 1);  // 0: no limit
  }
  db.max_total_wal_size = kUnflushedLogBytes;
  db.max_background_jobs = 2;
  db.max_open_files = options.open_files_max;
  db.write_buffer_manager =
      std::make_shared<rocksdb::WriteBufferManager>(options.write_buffer_bytes);
  db.avoid_unnecessary_blocking_io = true;
  db.stats_dump_period_sec = 0;
  db.stats_persist_period_sec = 0;
  return db;
}

using Columns = std::vector<rocksdb::ColumnFamilyHandle*>;

class RocksIterator final : public Iterator {
 public:
  RocksIterator(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* column,
                const rocksdb::Snapshot* snapshot, Range range)
      : range_(std::move(range)), from_(slice(range_.from)), to_(slice(range_.to)) {
    rocksdb::ReadOptions read;
    read.snapshot = snapshot;
    read.iterate_lower_bound = &from_;
    if (!range_.to.empty()) read.iterate_upper_bound = &to_;
    rows_.reset(db.NewIterator(read, column));
  }
  bool valid() const override { return rows_->Valid(); }
  void next() override { rows_->Next(); }
  void prev() override { rows_->Prev(); }
  void seek(std::string_view key) override { rows_->Seek(slice(key)); }
  void seek_for_prev(std::string_view key) override {
    if (!range_.to.empty() && key >= range_.to) {
      rows_->SeekToLast();
    } else {
      rows_->SeekForPrev(slice(key));
    }
  }
  void seek_to_first() override { rows_->SeekToFirst(); }
  void seek_to_last() override { rows_->SeekToLast(); }
  std::string_view key() const override { return view(rows_->key()); }
  std::string_view value() const override { return view(rows_->value()); }
  Status status() const override { return status_of(rows_->status()); }

 private:
  const Range range_;
  const rocksdb::Slice from_, to_;  // must outlive rows_
  std::unique_ptr<rocksdb::Iterator> rows_;
};

class RocksSnapshot final : public Snapshot {
 public:
  RocksSnapshot(std::shared_ptr<rocksdb::DB> db, const Columns& columns)
      : db_(std::move(db)), columns_(columns), snapshot_(db_->GetSnapshot()) {}
  ~RocksSnapshot() override { db_->ReleaseSnapshot(snapshot_); }

  Result<std::optional<std::string>> get(ColumnId column, std::string_view key) const override {
    base::note_disk_use("get");
    rocksdb::PinnableSlice value;
    const rocksdb::Status status = db_->Get(options(), columns_[column], slice(key), &value);
    if (status.IsNotFound()) return std::optional<std::string>();
    if (!status.ok()) return error_of(status);
    return std::optional(std::string(view(value)));
  }

  Result<std::vector<std::optional<std::string>>> multi_get(
      ColumnId column, std::span<const std::string> keys) const override {
    base::note_disk_use("get");
    std::vector<rocksdb::Slice> slices(keys.begin(), keys.end());
    std::vector<rocksdb::PinnableSlice> found(keys.size());
    std::vector<rocksdb::Status> statuses(keys.size());
    db_->MultiGet(options(), columns_[column], keys.size(), slices.data(), found.data(),
                  statuses.data());
    std::vector<std::optional<std::string>> values(keys.size());
    for (size_t i = 0; i < keys.size(); ++i) {
      if (statuses[i].ok()) values[i] = std::string(view(found[i]));
      if (!statuses[i].ok() && !statuses[i].IsNotFound()) return error_of(statuses[i]);
    }
    return values;
  }

  std::unique_ptr<Iterator> iterate(ColumnId column, Range range) const override {
    base::note_disk_use("iterate");
    return std::make_unique<RocksIterator>(*db_, columns_[column], snapshot_, std::move(range));
  }

 private:
  rocksdb::ReadOptions options() const {
    rocksdb::ReadOptions read;
    read.snapshot = snapshot_;
    return read;
  }

  std::shared_ptr<rocksdb::DB> db_;
  const Columns& columns_;
  const rocksdb::Snapshot* snapshot_;
};

// Turns a write batch of RocksDB back into a group.
class LogReader final : public rocksdb::WriteBatch::Handler {
 public:
  explicit LogReader(LogGroup& group) : group_(group) {}
  rocksdb::Status PutCF(uint32_t column, const rocksdb::Slice& key,
                        const rocksdb::Slice& value) override {
    if (column != kPositionColumn || view(key) != kPositionKey)
      group_.batch.put(static_cast<ColumnId>(column - 1), view(key), view(value));
    return rocksdb::Status::OK();
  }
  rocksdb::Status DeleteCF(uint32_t column, const rocksdb::Slice& key) override {
    group_.batch.erase(static_cast<ColumnId>(column - 1), view(key));
    return rocksdb::Status::OK();
  }
  rocksdb::Status DeleteRangeCF(uint32_t column, const rocksdb::Slice& from,
                                const rocksdb::Slice& to) override {
    group_.batch.erase_range(static_cast<ColumnId>(column - 1), view(from), view(to));
    return rocksdb::Status::OK();
  }
  void LogData(const rocksdb::Slice& data) override {
    if (data.size() != kLogDataBytes) return;
    group_.first = read_big_endian(view(data).substr(1, 8));
    group_.positions = static_cast<uint32_t>(read_big_endian(view(data).substr(9, 4)));
  }

 private:
  LogGroup& group_;
};

class RocksDatabase final : public Database {
 public:
  RocksDatabase(std::unique_ptr<rocksdb::Env> env, rocksdb::DB* db, Columns columns)
      : env_(std::move(env)), db_(db), columns_(std::move(columns)) {}
  ~RocksDatabase() override { static_cast<void>(close()); }

  Status recover() {
    std::string value;
    const rocksdb::Status status =
        db_->Get(rocksdb::ReadOptions(), columns_[0], slice(kPositionKey), &value);
    if (status.IsNotFound()) return {};
    if (!status.ok()) return error_of(status);
    last_position_ = read_big_endian(value);
    return {};
  }

  std::shared_ptr<const Snapshot> snapshot() const override {
    return std::make_shared<RocksSnapshot>(db_, columns_);
  }

  Status write(std::span<const Batch* const> batches, Position first, bool sync) override {
    base::note_disk_use("write");
    if (read_only_)
      return fail(ErrorCode::kReadOnly, "the database is read-only after a failed write");
    size_t bytes = 64;
    uint64_t positions = 0;
    for (const Batch* batch : batches) {
      bytes += batch->bytes() + batch->ops().size() * 12;
      positions += batch->position_count();
    }
    rocksdb::WriteBatch group(bytes, 0, 8, 0);
    std::string log_data(1, '\1');
    append_big_endian(log_data, first, 8);
    append_big_endian(log_data, positions, 4);
    group.PutLogData(log_data);
    for (const Batch* batch : batches)
      add(*batch, group);
    const Position last = positions > 0 ? first + positions - 1 : last_position_.load();
    std::string position;
    append_big_endian(position, last, 8);
    group.Put(columns_[0], slice(kPositionKey), position);
    rocksdb::WriteOptions options;
    options.sync = sync;
    const rocksdb::Status status = db_->Write(options, &group);
    if (!status.ok()) {
      read_only_ = true;
      return error_of(status);
    }
    last_position_ = last;
    return {};
  }

  bool read_only() const override { return read_only_; }
  Status resume() override {
    POLDER_CHECK(status_of(db_->Resume()));
    read_only_ = false;
    return {};
  }
  Position last_position() const override { return last_position_; }
  uint64_t last_sequence() const override { return db_->GetLatestSequenceNumber(); }

  Status read_log(uint64_t from_sequence,
                  const std::function<bool(const LogGroup&)>& visit) const override {
    base::note_disk_use("log");
    if (from_sequence > last_sequence()) return {};
    std::unique_ptr<rocksdb::TransactionLogIterator> log;
    const rocksdb::Status status = db_->GetUpdatesSince(from_sequence, &log);
    if (!status.ok()) return error_of(status);
    bool begun = false;
    for (; log->Valid(); log->Next()) {
      const rocksdb::BatchResult entry = log->GetBatch();
      // RocksDB begins with the oldest that it has, and does not say that this is not what was
      // asked.
      if (!std::exchange(begun, true) && entry.sequence > std::max(from_sequence, kFirstSequence))
        return fail(ErrorCode::kNotFound, "the write log no longer reaches back that far");
      LogGroup group;
      group.sequence = entry.sequence;
      LogReader reader(group);
      POLDER_CHECK(status_of(entry.writeBatchPtr->Iterate(&reader)));
      if (entry.sequence < from_sequence) continue;
      if (!visit(group)) return {};
    }
    return status_of(log->status());
  }

  Status flush() override { return status_of(db_->Flush(rocksdb::FlushOptions(), columns_)); }
  Status compact() override {
    rocksdb::CompactRangeOptions options;
    options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
    for (auto* column : columns_)
      POLDER_CHECK(status_of(db_->CompactRange(options, column, nullptr, nullptr)));
    return {};
  }
  Status compact(ColumnId column, const Range& range) override {
    rocksdb::CompactRangeOptions options;
    options.exclusive_manual_compaction = false;
    options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
    const rocksdb::Slice from = slice(range.from);
    const rocksdb::Slice to = slice(range.to);
    return status_of(
        db_->CompactRange(options, columns_[column], &from, range.to.empty() ? nullptr : &to));
  }
  Result<uint64_t> disk_bytes() const override {
    uint64_t bytes = 0;
    for (auto* column : columns_) {
      uint64_t of_column = 0;
      db_->GetIntProperty(column, rocksdb::DB::Properties::kTotalSstFilesSize, &of_column);
      bytes += of_column;
    }
    return bytes;
  }
  std::vector<StoreFigure> figures() const override { return rocks_figures(*db_, columns_); }
  Status checkpoint(const std::string& directory) override {
    rocksdb::Checkpoint* checkpoint = nullptr;
    POLDER_CHECK(status_of(rocksdb::Checkpoint::Create(db_.get(), &checkpoint)));
    const std::unique_ptr<rocksdb::Checkpoint> owned(checkpoint);
    return status_of(owned->CreateCheckpoint(directory));
  }
  Status close() override {
    if (!db_) return {};
    for (auto* column : columns_)
      db_->DestroyColumnFamilyHandle(column);
    columns_.clear();
    const Status closed = status_of(db_->Close());
    db_.reset();
    return closed;
  }

 private:
  void add(const Batch& batch, rocksdb::WriteBatch& group) const {
    for (const Batch::Op& op : batch.ops()) {
      auto* column = columns_[op.column];
      switch (op.kind) {
        case Batch::OpKind::kPut:
          group.Put(column, slice(batch.key(op)), slice(batch.value(op)));
          break;
        case Batch::OpKind::kErase:
          group.Delete(column, slice(batch.key(op)));
          break;
        case Batch::OpKind::kEraseRange:
          group.DeleteRange(column, slice(batch.key(op)), slice(batch.value(op)));
          break;
      }
    }
  }

  const std::unique_ptr<rocksdb::Env> env_;  // outlives db_
  std::shared_ptr<rocksdb::DB> db_;
  Columns columns_;
  std::atomic<bool> read_only_ = false;
  std::atomic<Position> last_position_ = 0;
};

struct Descriptors {
  std::vector<rocksdb::ColumnFamilyDescriptor> on_disk;
  std::vector<rocksdb::ColumnFamilyDescriptor> missing;
};

// RocksDB numbers columns as they are created: ours come after its own "default", in our order, so
// that the numbers in its log are ours plus one.
Result<Descriptors> describe(const RocksOptions& options, const rocksdb::DBOptions& db_options,
                             std::span<const ColumnSpec> columns) {
  std::vector<std::string> names;
  if (!rocksdb::DB::ListColumnFamilies(db_options, options.directory, &names).ok())
    names = {rocksdb::kDefaultColumnFamilyName};  // nothing yet; or opening says what is wrong
  const auto cache = rocksdb::NewLRUCache(options.cache_bytes);
  Descriptors descriptors;
  const auto add = [&](std::string name, rocksdb::ColumnFamilyOptions column) {
    const bool on_disk = std::erase(names, name) > 0;
    (on_disk ? descriptors.on_disk : descriptors.missing).emplace_back(std::move(name), column);
  };
  add(rocksdb::kDefaultColumnFamilyName, {});
  for (const ColumnSpec& column : columns)
    add(std::string(column.name), column_options(options, column, cache));
  if (!names.empty()) {
    return fail(ErrorCode::kCorrupt, "the database has a column \"" + names.front() +
                                         "\", which this version does not know");
  }
  return descriptors;
}

// RocksDB would make a new database where it finds no CURRENT, and remove what there is. A crash
// while a database is made leaves neither logs nor tables.
Status must_be_whole_or_new(const RocksOptions& options) {
  if (options.files.info(options.directory + "/CURRENT").ok()) return {};
  const auto entries = options.files.list(options.directory);
  if (!entries.ok()) return {};  // no folder yet; or opening says what is wrong
  for (const files::DirectoryEntry& entry : *entries) {
    if (entry.name.ends_with(".sst") || entry.name.ends_with(".log"))
      return fail(ErrorCode::kCorrupt, options.directory + "/CURRENT: missing from a database");
  }
  return {};
}

// All at once: one by one, each is followed by a copy of all options on disk.
Status create_missing(rocksdb::DB& db, const Descriptors& descriptors, Columns& handles) {
  if (descriptors.missing.empty()) return {};
  Columns created;
  const auto status = db.CreateColumnFamilies(descriptors.missing, &created);
  handles.insert(handles.end(), created.begin(), created.end());
  return status_of(status);
}

}  // namespace

Result<std::unique_ptr<Database>> open_rocks(const RocksOptions& options,
                                             std::span<const ColumnSpec> columns) {
  std::unique_ptr<rocksdb::Env> env = rocksdb::NewCompositeEnv(rocks_files(options.files));
  const rocksdb::DBOptions db_options = database_options(options, *env);
  POLDER_CHECK(must_be_whole_or_new(options));
  POLDER_TRY(const auto descriptors, describe(options, db_options, columns));
  rocksdb::DB* db = nullptr;
  Columns handles;
  POLDER_CHECK(status_of(
      rocksdb::DB::Open(db_options, options.directory, descriptors.on_disk, &handles, &db)));
  const Status created = create_missing(*db, descriptors, handles);
  db->DestroyColumnFamilyHandle(handles.front());
  handles.erase(handles.begin());
  auto database = std::make_unique<RocksDatabase>(std::move(env), db, std::move(handles));
  POLDER_CHECK(created);
  POLDER_CHECK(database->recover());
  return std::unique_ptr<Database>(std::move(database));
}

Status verify_rocks(const RocksOptions& options, std::span<const ColumnSpec> columns) {
  const std::unique_ptr<rocksdb::Env> env = rocksdb::NewCompositeEnv(rocks_files(options.files));
  rocksdb::DBOptions db_options = database_options(options, *env);
  db_options.avoid_unnecessary_blocking_io = false;  // else it would purge, which it may not
  POLDER_TRY(const auto descriptors, describe(options, db_options, columns));
  rocksdb::DB* opened = nullptr;
  Columns handles;
  POLDER_CHECK(status_of(rocksdb::DB::OpenForReadOnly(db_options, options.directory,
                                                      descriptors.on_disk, &handles, &opened)));
  const std::unique_ptr<rocksdb::DB> db(opened);
  for (auto* column : handles)
    db->DestroyColumnFamilyHandle(column);
  return status_of(db->VerifyChecksum());
}

}  // namespace polder::kv
