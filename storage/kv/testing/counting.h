// A database that counts what is read of it: for tests that hold how much work something is.
#pragma once

#include <atomic>
#include <utility>

#include "storage/kv/kv.h"

namespace polder::kv {

// Rows that were asked for by key, and steps of iterators. The other database outlives it.
class CountingDatabase : public Database {
 public:
  explicit CountingDatabase(Database& other) : other_(other) {}

  size_t take_reads() { return reads_->exchange(0); }

  std::shared_ptr<const Snapshot> snapshot() const override {
    return std::make_shared<CountedSnapshot>(other_.snapshot(), reads_);
  }
  Status write(std::span<const Batch* const> batches, Position first, bool sync) override {
    return other_.write(batches, first, sync);
  }
  bool read_only() const override { return other_.read_only(); }
  Status resume() override { return other_.resume(); }
  Position last_position() const override { return other_.last_position(); }
  Status read_log(uint64_t from_sequence,
                  const std::function<bool(const LogGroup&)>& visit) const override {
    return other_.read_log(from_sequence, visit);
  }
  uint64_t last_sequence() const override { return other_.last_sequence(); }
  Status flush() override { return other_.flush(); }
  Status compact() override { return other_.compact(); }
  Status compact(ColumnId column, const Range& range) override {
    return other_.compact(column, range);
  }
  Result<uint64_t> disk_bytes() const override { return other_.disk_bytes(); }
  Status checkpoint(const std::string& directory) override { return other_.checkpoint(directory); }
  Status close() override { return other_.close(); }

 private:
  using Reads = std::shared_ptr<std::atomic<size_t>>;

  class CountedIterator : public Iterator {
   public:
    CountedIterator(std::unique_ptr<Iterator> rows, Reads reads)
        : rows_(std::move(rows)), reads_(std::move(reads)) {}

    bool valid() const override { return rows_->valid(); }
    void next() override { count(), rows_->next(); }
    void prev() override { count(), rows_->prev(); }
    void seek(std::string_view key) override { count(), rows_->seek(key); }
    void seek_for_prev(std::string_view key) override { count(), rows_->seek_for_prev(key); }
    void seek_to_first() override { count(), rows_->seek_to_first(); }
    void seek_to_last() override { count(), rows_->seek_to_last(); }
    std::string_view key() const override { return rows_->key(); }
    std::string_view value() const override { return rows_->value(); }
    Status status() const override { return rows_->status(); }

   private:
    void count() { ++*reads_; }

    const std::unique_ptr<Iterator> rows_;
    const Reads reads_;
  };

  class CountedSnapshot : public Snapshot {
   public:
    CountedSnapshot(std::shared_ptr<const Snapshot> snapshot, Reads reads)
        : snapshot_(std::move(snapshot)), reads_(std::move(reads)) {}

    Result<std::optional<std::string>> get(ColumnId column, std::string_view key) const override {
      ++*reads_;
      return snapshot_->get(column, key);
    }
    Result<std::vector<std::optional<std::string>>> multi_get(
        ColumnId column, std::span<const std::string> keys) const override {
      *reads_ += keys.size();
      return snapshot_->multi_get(column, keys);
    }
    std::unique_ptr<Iterator> iterate(ColumnId column, Range range) const override {
      return std::make_unique<CountedIterator>(snapshot_->iterate(column, std::move(range)),
                                               reads_);
    }

   private:
    const std::shared_ptr<const Snapshot> snapshot_;
    const Reads reads_;
  };

  Database& other_;
  const Reads reads_ = std::make_shared<std::atomic<size_t>>(0);
};

}  // namespace polder::kv
