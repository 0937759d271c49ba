#include "storage/kv/memory.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <set>

#include "homeserver/base/values/disk.h"
#include "homeserver/base/values/mutex.h"

namespace polder::kv {

void MemoryDisk::power_loss(size_t keep) {
  const base::Lock lock(mutex_);
  const auto first_lost = std::ranges::find(groups_, false, &Group::synced);
  const auto kept = std::min(keep, static_cast<size_t>(groups_.end() - first_lost));
  groups_.erase(first_lost + static_cast<std::ptrdiff_t>(kept), groups_.end());
  for (Group& group : groups_)
    group.synced = true;
}

size_t MemoryDisk::unsynced() const {
  const base::Lock lock(mutex_);
  return static_cast<size_t>(std::ranges::count(groups_, false, &Group::synced));
}

void MemoryDisk::fail_after(size_t writes) {
  const base::Lock lock(mutex_);
  writes_until_failure_ = writes - 1;
}

bool MemoryDisk::failing() const {
  const base::Lock lock(mutex_);
  return writes_until_failure_ == 0;
}

void MemoryDisk::repair() {
  const base::Lock lock(mutex_);
  writes_until_failure_ = ~size_t{0};
}

Status MemoryDisk::add(Group group) {
  const base::Lock lock(mutex_);
  if (writes_until_failure_ == 0) return fail(ErrorCode::kIo, "the disk fails");
  --writes_until_failure_;
  // A sync makes everything before it durable too.
  if (group.synced) {
    for (Group& earlier : groups_)
      earlier.synced = true;
  }
  groups_.push_back(std::move(group));
  return {};
}

namespace {

// The values that a key had, by the sequence number of the write; no value: erased.
struct Versions {
  std::vector<std::pair<uint64_t, std::optional<std::string>>> all;  // ascending

  const std::string* at(uint64_t sequence) const {
    for (auto version = all.rbegin(); version != all.rend(); ++version) {
      if (version->first <= sequence) return version->second ? &*version->second : nullptr;
    }
    return nullptr;
  }
};
using Rows = std::map<std::string, Versions, std::less<>>;

// The content, shared by the database and its snapshots.
struct Content {
  base::SharedMutex mutex;
  std::vector<Rows> columns GUARDED_BY(mutex);
  uint64_t sequence GUARDED_BY(mutex) = 0;
  std::multiset<uint64_t> snapshots GUARDED_BY(mutex);  // sequences that are still read
};

class MemoryIterator final : public Iterator {
 public:
  MemoryIterator(std::shared_ptr<Content> content, ColumnId column, Range range, uint64_t sequence)
      : content_(std::move(content)),
        column_(column),
        range_(std::move(range)),
        sequence_(sequence) {}

  bool valid() const override { return valid_; }
  void next() override {
    const base::SharedLock lock(content_->mutex);
    forward(rows().upper_bound(key_));
  }
  void prev() override {
    const base::SharedLock lock(content_->mutex);
    backward(rows().lower_bound(key_));
  }
  void seek(std::string_view key) override {
    const base::SharedLock lock(content_->mutex);
    forward(rows().lower_bound(std::max(key, std::string_view(range_.from))));
  }
  void seek_for_prev(std::string_view key) override {
    const base::SharedLock lock(content_->mutex);
    backward(beyond(key) ? end() : rows().upper_bound(key));
  }
  void seek_to_first() override { seek(range_.from); }
  void seek_to_last() override {
    const base::SharedLock lock(content_->mutex);
    backward(end());
  }
  std::string_view key() const override { return key_; }
  std::string_view value() const override { return value_; }
  Status status() const override { return {}; }

 private:
  const Rows& rows() const REQUIRES_SHARED(content_->mutex) { return content_->columns[column_]; }
  bool beyond(std::string_view key) const { return !range_.to.empty() && key >= range_.to; }
  Rows::const_iterator end() const REQUIRES_SHARED(content_->mutex) {
    return range_.to.empty() ? rows().end() : rows().lower_bound(range_.to);
  }

  // The first row from here on that the snapshot has.
  void forward(Rows::const_iterator row) REQUIRES_SHARED(content_->mutex) {
    for (valid_ = false; row != rows().end() && !beyond(row->first); ++row) {
      if (take(row)) return;
    }
  }
  // The last one before here.
  void backward(Rows::const_iterator row) REQUIRES_SHARED(content_->mutex) {
    valid_ = false;
    while (row != rows().begin()) {
      --row;
      if (row->first < range_.from) return;
      if (take(row)) return;
    }
  }
  bool take(Rows::const_iterator row) {
    const std::string* value = row->second.at(sequence_);
    if (value == nullptr) return false;
    key_ = row->first;
    value_ = *value;
    return valid_ = true;
  }

  std::shared_ptr<Content> content_;
  ColumnId column_;
  Range range_;
  uint64_t sequence_;
  bool valid_ = false;
  std::string key_;
  std::string value_;
};

class MemorySnapshot final : public Snapshot {
 public:
  explicit MemorySnapshot(std::shared_ptr<Content> content) : content_(std::move(content)) {
    const base::ExclusiveLock lock(content_->mutex);
    sequence_ = content_->sequence;
    content_->snapshots.insert(sequence_);
  }
  ~MemorySnapshot() override {
    const base::ExclusiveLock lock(content_->mutex);
    content_->snapshots.erase(content_->snapshots.find(sequence_));
  }

  Result<std::optional<std::string>> get(ColumnId column, std::string_view key) const override {
    base::note_disk_use("get");
    const base::SharedLock lock(content_->mutex);
    return read(column, key);
  }
  Result<std::vector<std::optional<std::string>>> multi_get(
      ColumnId column, std::span<const std::string> keys) const override {
    base::note_disk_use("get");
    const base::SharedLock lock(content_->mutex);
    std::vector<std::optional<std::string>> values;
    values.reserve(keys.size());
    for (const std::string& key : keys)
      values.push_back(read(column, key));
    return values;
  }
  std::unique_ptr<Iterator> iterate(ColumnId column, Range range) const override {
    base::note_disk_use("iterate");
    return std::make_unique<MemoryIterator>(content_, column, std::move(range), sequence_);
  }

 private:
  std::optional<std::string> read(ColumnId column, std::string_view key) const
      REQUIRES_SHARED(content_->mutex) {
    const Rows& rows = content_->columns[column];
    const auto row = rows.find(key);
    const std::string* value = row == rows.end() ? nullptr : row->second.at(sequence_);
    return value == nullptr ? std::nullopt : std::optional(*value);
  }

  std::shared_ptr<Content> content_;
  uint64_t sequence_ = 0;
};

}  // namespace

class MemoryDatabase final : public Database {
 public:
  MemoryDatabase(std::span<const ColumnSpec> columns, MemoryDisk& disk)
      : disk_(disk), content_(std::make_shared<Content>()) {
    content_->columns.resize(columns.size());
    const base::Lock lock(disk_.mutex_);
    for (const MemoryDisk::Group& group : disk_.groups_)
      apply(group.log);
  }

  std::shared_ptr<const Snapshot> snapshot() const override {
    return std::make_shared<MemorySnapshot>(content_);
  }

  Status write(std::span<const Batch* const> batches, Position first, bool sync) override {
    base::note_disk_use("write");
    if (read_only_)
      return fail(ErrorCode::kReadOnly, "the database is read-only after a failed write");
    LogGroup group;
    group.first = first;
    for (const Batch* batch : batches) {
      group.positions += static_cast<uint32_t>(batch->position_count());
      group.batch.append(*batch);
    }
    group.sequence = last_sequence() + 1;
    if (Status added = disk_.add({group, sync}); !added.ok()) {
      read_only_ = true;
      return added;
    }
    apply(group);
    return {};
  }

  bool read_only() const override { return read_only_; }
  Status resume() override {
    disk_.repair();
    read_only_ = false;
    return {};
  }
  Position last_position() const override { return last_position_; }
  uint64_t last_sequence() const override {
    const base::SharedLock lock(content_->mutex);
    return content_->sequence;
  }

  Status read_log(uint64_t from_sequence,
                  const std::function<bool(const LogGroup&)>& visit) const override {
    base::note_disk_use("log");
    for (size_t i = from_sequence == 0 ? 0 : from_sequence - 1;; ++i) {
      LogGroup group;
      {
        const base::Lock lock(disk_.mutex_);
        if (i >= disk_.groups_.size()) return {};
        group = disk_.groups_[i].log;
      }
      if (!visit(group)) return {};
    }
  }

  Status flush() override { return {}; }
  Status compact() override { return {}; }
  Status compact(ColumnId, const Range&) override { return {}; }
  Result<uint64_t> disk_bytes() const override {
    const base::Lock lock(disk_.mutex_);
    uint64_t bytes = 0;
    for (const auto& group : disk_.groups_)
      bytes += group.log.batch.bytes();
    return bytes;
  }
  Status checkpoint(const std::string&) override {
    return fail(ErrorCode::kUnsupported, "a database in memory has no files");
  }
  Status close() override { return {}; }

 private:
  void apply(const LogGroup& group) {
    const base::ExclusiveLock lock(content_->mutex);
    const uint64_t sequence = ++content_->sequence;
    const uint64_t oldest = content_->snapshots.empty() ? sequence : *content_->snapshots.begin();
    for (const Batch::Op& op : group.batch.ops()) {
      Rows& rows = content_->columns[op.column];
      if (op.kind == Batch::OpKind::kEraseRange) {
        const auto end = rows.lower_bound(group.batch.value(op));
        for (auto row = rows.lower_bound(group.batch.key(op)); row != end; ++row)
          set(row->second, sequence, oldest, std::nullopt);
        continue;
      }
      const bool put = op.kind == Batch::OpKind::kPut;
      auto row = rows.find(group.batch.key(op));
      if (row == rows.end() && !put) continue;
      if (row == rows.end()) row = rows.emplace(std::string(group.batch.key(op)), Versions()).first;
      set(row->second, sequence, oldest,
          put ? std::optional(std::string(group.batch.value(op))) : std::nullopt);
    }
    if (group.positions > 0) last_position_ = group.first + group.positions - 1;
  }

  // Versions that no snapshot can see any more go: all but the newest at or before the oldest one.
  static void set(Versions& versions, uint64_t sequence, uint64_t oldest,
                  std::optional<std::string> value) {
    auto& all = versions.all;
    if (!all.empty() && all.back().first == sequence) {
      all.back().second = std::move(value);
      return;
    }
    while (all.size() > 1 && all[1].first <= oldest)
      all.erase(all.begin());
    all.emplace_back(sequence, std::move(value));
  }

  MemoryDisk& disk_;
  std::shared_ptr<Content> content_;
  std::atomic<bool> read_only_ = false;
  std::atomic<Position> last_position_ = 0;
};

std::unique_ptr<Database> open_memory(std::span<const ColumnSpec> columns, MemoryDisk& disk) {
  return std::make_unique<MemoryDatabase>(columns, disk);
}

}  // namespace polder::kv
