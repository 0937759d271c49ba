#include "storage/kv/rocks_files.h"

#include <algorithm>
#include <utility>

namespace polder::kv {
namespace {

using rocksdb::FileOptions;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

IOStatus io_error(const Error& error) {
  if (error.code == ErrorCode::kNotFound) return IOStatus::PathNotFound(error.message);
  if (error.code == ErrorCode::kCorrupt) return IOStatus::Corruption(error.message);
  return IOStatus::IOError(error.message);
}

IOStatus io_status(const Status& status) {
  return status.ok() ? IOStatus::OK() : io_error(status.error());
}

// Reads into RocksDB's buffer, and tells how much.
template <class File>
IOStatus read(const File& file, uint64_t offset, size_t size, Slice* result, char* buffer) {
  const auto filled = file.read_into(offset, {buffer, size});
  if (!filled.ok()) return io_error(filled.error());
  *result = Slice(buffer, *filled);
  return IOStatus::OK();
}

class SequentialFile final : public rocksdb::FSSequentialFile {
 public:
  explicit SequentialFile(std::unique_ptr<files::ReadableFile> file) : file_(std::move(file)) {}
  IOStatus Read(size_t size, const IOOptions&, Slice* result, char* buffer,
                IODebugContext*) override {
    const IOStatus status = read(*file_, offset_, size, result, buffer);
    if (status.ok()) offset_ += result->size();
    return status;
  }
  IOStatus Skip(uint64_t count) override {
    const auto size = file_->size();
    if (!size.ok()) return io_error(size.error());
    offset_ = std::min(offset_ + count, *size);
    return IOStatus::OK();
  }

 private:
  const std::unique_ptr<files::ReadableFile> file_;
  uint64_t offset_ = 0;
};

class RandomAccessFile final : public rocksdb::FSRandomAccessFile {
 public:
  explicit RandomAccessFile(std::unique_ptr<files::ReadableFile> file) : file_(std::move(file)) {}
  IOStatus Read(uint64_t offset, size_t size, const IOOptions&, Slice* result, char* buffer,
                IODebugContext*) const override {
    return read(*file_, offset, size, result, buffer);
  }

 private:
  const std::unique_ptr<files::ReadableFile> file_;
};

class WritableFile final : public rocksdb::FSWritableFile {
 public:
  explicit WritableFile(std::unique_ptr<files::WritableFile> file) : file_(std::move(file)) {}
  using rocksdb::FSWritableFile::Append;
  IOStatus Append(const Slice& data, const IOOptions&, IODebugContext*) override {
    return io_status(file_->append({data.data(), data.size()}));
  }
  // RocksDB truncates at closing, to the size that the file has.
  IOStatus Truncate(uint64_t size, const IOOptions&, IODebugContext*) override {
    return size == file_->size() ? IOStatus::OK() : io_status(file_->truncate(size));
  }
  IOStatus Flush(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  IOStatus Sync(const IOOptions&, IODebugContext*) override { return io_status(file_->sync()); }
  IOStatus Close(const IOOptions&, IODebugContext*) override { return io_status(file_->close()); }
  bool IsSyncThreadSafe() const override { return true; }
  uint64_t GetFileSize(const IOOptions&, IODebugContext*) override { return file_->size(); }

 private:
  const std::unique_ptr<files::WritableFile> file_;
};

class Directory final : public rocksdb::FSDirectory {
 public:
  Directory(files::FileSystem& files, std::string path) : files_(files), path_(std::move(path)) {}
  IOStatus Fsync(const IOOptions&, IODebugContext*) override {
    return io_status(files_.sync_directory(path_));
  }
  IOStatus Close(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }

 private:
  files::FileSystem& files_;
  const std::string path_;
};

struct Lock final : rocksdb::FileLock {
  std::unique_ptr<files::FileLock> held;
};

class RocksFiles final : public rocksdb::FileSystem {
 public:
  explicit RocksFiles(files::FileSystem& files) : files_(files) {}
  const char* Name() const override { return "PolderFiles"; }

  IOStatus NewSequentialFile(const std::string& path, const FileOptions&,
                             std::unique_ptr<rocksdb::FSSequentialFile>* result,
                             IODebugContext*) override {
    auto file = files_.open_for_read(path);
    if (!file.ok()) return io_error(file.error());
    *result = std::make_unique<SequentialFile>(*std::move(file));
    return IOStatus::OK();
  }
  IOStatus NewRandomAccessFile(const std::string& path, const FileOptions&,
                               std::unique_ptr<rocksdb::FSRandomAccessFile>* result,
                               IODebugContext*) override {
    auto file = files_.open_for_read(path);
    if (!file.ok()) return io_error(file.error());
    *result = std::make_unique<RandomAccessFile>(*std::move(file));
    return IOStatus::OK();
  }
  IOStatus NewWritableFile(const std::string& path, const FileOptions&,
                           std::unique_ptr<rocksdb::FSWritableFile>* result,
                           IODebugContext*) override {
    return open_for_write(path, files::OpenMode::kTruncate, result);
  }
  IOStatus ReopenWritableFile(const std::string& path, const FileOptions&,
                              std::unique_ptr<rocksdb::FSWritableFile>* result,
                              IODebugContext*) override {
    return open_for_write(path, files::OpenMode::kAppend, result);
  }
  IOStatus NewDirectory(const std::string& path, const IOOptions& options,
                        std::unique_ptr<rocksdb::FSDirectory>* result,
                        IODebugContext* debug) override {
    bool is_directory = false;
    const IOStatus found = IsDirectory(path, options, &is_directory, debug);
    if (!found.ok()) return found;
    if (!is_directory) return IOStatus::IOError(path + ": not a directory");
    *result = std::make_unique<Directory>(files_, path);
    return IOStatus::OK();
  }

  IOStatus FileExists(const std::string& path, const IOOptions&, IODebugContext*) override {
    const auto about = files_.info(path);
    if (about.ok()) return IOStatus::OK();
    if (about.error().code == ErrorCode::kNotFound) return IOStatus::NotFound(path);
    return io_error(about.error());
  }
  IOStatus GetChildren(const std::string& path, const IOOptions&, std::vector<std::string>* result,
                       IODebugContext*) override {
    result->clear();
    const auto entries = files_.list(path);
    if (!entries.ok()) return io_error(entries.error());
    for (const files::DirectoryEntry& entry : *entries)
      result->push_back(entry.name);
    return IOStatus::OK();
  }
  IOStatus DeleteFile(const std::string& path, const IOOptions&, IODebugContext*) override {
    return io_status(files_.remove_file(path));
  }
  IOStatus CreateDir(const std::string& path, const IOOptions& options,
                     IODebugContext* debug) override {
    if (FileExists(path, options, debug).ok()) return IOStatus::IOError(path + ": exists");
    return CreateDirIfMissing(path, options, debug);
  }
  IOStatus CreateDirIfMissing(const std::string& path, const IOOptions&, IODebugContext*) override {
    return io_status(files_.create_directories(path));
  }
  IOStatus DeleteDir(const std::string& path, const IOOptions&, IODebugContext*) override {
    return io_status(files_.remove_directory(path));
  }
  IOStatus GetFileSize(const std::string& path, const IOOptions&, uint64_t* size,
                       IODebugContext*) override {
    const auto about = files_.info(path);
    if (!about.ok()) return io_error(about.error());
    *size = about->size;
    return IOStatus::OK();
  }
  IOStatus GetFileModificationTime(const std::string& path, const IOOptions&, uint64_t* seconds,
                                   IODebugContext*) override {
    const auto about = files_.info(path);
    if (!about.ok()) return io_error(about.error());
    *seconds = static_cast<uint64_t>(about->modified_s);
    return IOStatus::OK();
  }
  IOStatus RenameFile(const std::string& from, const std::string& to, const IOOptions&,
                      IODebugContext*) override {
    const Status renamed = files_.rename(from, to);
    const std::string folder = files::parent_of(to);
    if (!renamed.ok() || folder == files::parent_of(from)) return io_status(renamed);
    // A part of the write log that goes into the archive: RocksDB syncs only the folder that it
    // leaves, so that a power cut could take it from both.
    return io_status(files_.sync_directory(folder));
  }
  IOStatus LinkFile(const std::string& from, const std::string& to, const IOOptions&,
                    IODebugContext*) override {
    return io_status(files_.link(from, to));
  }
  IOStatus GetFreeSpace(const std::string& path, const IOOptions&, uint64_t* bytes,
                        IODebugContext*) override {
    const auto free = files_.free_bytes(path);
    if (!free.ok()) return io_error(free.error());
    *bytes = *free;
    return IOStatus::OK();
  }
  IOStatus IsDirectory(const std::string& path, const IOOptions&, bool* is_directory,
                       IODebugContext*) override {
    const auto about = files_.info(path);
    if (!about.ok()) return io_error(about.error());
    *is_directory = about->is_directory;
    return IOStatus::OK();
  }

  IOStatus LockFile(const std::string& path, const IOOptions&, rocksdb::FileLock** lock,
                    IODebugContext*) override {
    *lock = nullptr;
    auto held = files_.lock(path);
    if (!held.ok()) return io_error(held.error());
    auto owned = std::make_unique<Lock>();
    owned->held = *std::move(held);
    *lock = owned.release();  // UnlockFile() takes it back
    return IOStatus::OK();
  }
  IOStatus UnlockFile(rocksdb::FileLock* lock, const IOOptions&, IODebugContext*) override {
    const std::unique_ptr<Lock> owned(static_cast<Lock*>(lock));
    return IOStatus::OK();
  }

  IOStatus GetTestDirectory(const IOOptions&, std::string*, IODebugContext*) override {
    return IOStatus::NotSupported("there is no directory for tests");
  }
  IOStatus GetAbsolutePath(const std::string& path, const IOOptions&, std::string* absolute,
                           IODebugContext*) override {
    *absolute = path;  // only written to the log
    return IOStatus::OK();
  }

 private:
  IOStatus open_for_write(const std::string& path, files::OpenMode mode,
                          std::unique_ptr<rocksdb::FSWritableFile>* result) {
    auto file = files_.open_for_write(path, mode);
    if (!file.ok()) return io_error(file.error());
    *result = std::make_unique<WritableFile>(*std::move(file));
    return IOStatus::OK();
  }

  files::FileSystem& files_;
};

}  // namespace

std::shared_ptr<rocksdb::FileSystem> rocks_files(files::FileSystem& files) {
  return std::make_shared<RocksFiles>(files);
}

}  // namespace polder::kv
