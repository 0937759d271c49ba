// Files below one interface, so that databases, media and keys can be put on a disk that loses
// power (forgetting.h) or one that encrypts (encrypted.h). Everything that Polder writes goes
// through here; docs/architecture.md says how RocksDB does.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "homeserver/base/values/result.h"

namespace polder::files {

// A file open for appending. Used by one thread at a time, but for sync(), which may run beside
// append().
class WritableFile {
 public:
  virtual ~WritableFile() = default;  // closes, without sync
  virtual Status append(std::string_view data) = 0;
  virtual Status truncate(uint64_t size) = 0;
  virtual Status sync() = 0;  // data and size are on disk (fdatasync)
  virtual Status close() = 0;
  virtual uint64_t size() const = 0;
};

// Thread-safe.
class ReadableFile {
 public:
  virtual ~ReadableFile() = default;
  // How many bytes from offset on were put into `out`: all that fit, but at the end of the file.
  virtual Result<size_t> read_into(uint64_t offset, std::span<char> out) const = 0;
  virtual Result<uint64_t> size() const = 0;

  // Up to size bytes from offset; fewer only at the end of the file.
  Result<std::string> read(uint64_t offset, size_t size) const;
};

// Overwrites and reads at any offset. Thread-safe. What lies between the end of the file and a
// write beyond it reads as anything.
class RandomFile {
 public:
  virtual ~RandomFile() = default;
  virtual Status write(uint64_t offset, std::string_view data) = 0;
  virtual Result<size_t> read_into(uint64_t offset, std::span<char> out) const = 0;

  Result<std::string> read(uint64_t offset, size_t size) const;  // as above
  virtual Status sync() = 0;
  virtual Status close() = 0;
};

enum class OpenMode : uint8_t { kTruncate, kAppend };

struct DirectoryEntry {
  std::string name;
  bool is_directory = false;
};

struct FileInfo {
  uint64_t size = 0;
  int64_t modified_s = 0;
  bool is_directory = false;
};

// Held until it dies; a second holder, in this process or another, gets kExists.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

// Thread-safe. Errors: kNotFound, kExists, kInvalid (opened is no regular file), kIo (with errno's
// text). Names and renames are durable after sync_directory() of the folder that holds them.
class FileSystem {
 public:
  virtual ~FileSystem() = default;
  virtual Result<std::unique_ptr<WritableFile>> open_for_write(const std::string& path,
                                                               OpenMode mode) = 0;
  virtual Result<std::unique_ptr<ReadableFile>> open_for_read(const std::string& path) = 0;
  virtual Result<std::unique_ptr<RandomFile>> open_random(const std::string& path) = 0;
  virtual Result<std::vector<DirectoryEntry>> list(const std::string& directory) = 0;
  virtual Result<FileInfo> info(const std::string& path) = 0;
  // With those above it, as far as they are missing; all are durable when this returns.
  virtual Status create_directories(const std::string& path) = 0;
  virtual Status remove_file(const std::string& path) = 0;
  virtual Status remove_directory(const std::string& path) = 0;
  virtual Status rename(const std::string& from, const std::string& to) = 0;  // replaces
  virtual Status link(const std::string& from, const std::string& to) = 0;    // hard link
  virtual Status sync_directory(const std::string& directory) = 0;
  virtual Result<std::unique_ptr<FileLock>> lock(const std::string& path) = 0;
  virtual Result<uint64_t> free_bytes(const std::string& path) = 0;

  // Convenience on top of the above.
  Result<std::string> read_all(const std::string& path, uint64_t max_bytes);
  // Writes beside, syncs, renames, syncs the directory: the old or the new content, never a part.
  Status write_atomically(const std::string& path, std::string_view data);
};

// The folder that a path's last name is in.
std::string parent_of(const std::string& path);

// The operating system's. New files are readable by their owner only.
std::unique_ptr<FileSystem> real_files();

}  // namespace polder::files
