#include "storage/files/forgetting.h"

#include <algorithm>
#include <map>
#include <vector>

#include "homeserver/base/values/disk.h"
#include "homeserver/base/values/mutex.h"

namespace polder::files {
namespace {

// A file or a folder: as it is, and as it would be after a power cut.
struct Node {
  bool is_directory = false;
  int64_t modified_s = 0;
  bool locked = false;

  std::string data;  // of a file
  std::string durable;
  size_t same = 0;  // up to here, the two are known to be equal

  std::map<std::string, std::shared_ptr<Node>> entries;  // of a folder
  std::map<std::string, std::shared_ptr<Node>> durable_entries;

  void sync() {
    durable.resize(same);
    durable.append(data, same);
    same = data.size();
    durable_entries = entries;
  }

  void forget(unsigned kept_percent) {
    const size_t appended = same == durable.size() ? data.size() - same : 0;
    const std::string torn = data.substr(same, appended * kept_percent / 100);
    data = durable;
    data.append(torn);
    entries = durable_entries;
    locked = false;
    sync();  // what is found after a power cut stays
    for (auto& [name, node] : entries)
      node->forget(kept_percent);
  }

  uint64_t bytes() const {
    uint64_t sum = data.size();
    for (const auto& [name, node] : entries)
      sum += node->bytes();
    return sum;
  }
};
using NodePtr = std::shared_ptr<Node>;

}  // namespace

// All that the files, the file system and the test share, under one mutex.
class ForgettingFiles final : public FileSystem {
 public:
  explicit ForgettingFiles(const base::Clock& clock)
      : clock_(clock), root_(std::make_shared<Node>()) {
    root_->is_directory = true;
  }

  Result<std::unique_ptr<WritableFile>> open_for_write(const std::string& path,
                                                       OpenMode mode) override;
  Result<std::unique_ptr<ReadableFile>> open_for_read(const std::string& path) override;
  Result<std::unique_ptr<RandomFile>> open_random(const std::string& path) override;
  Result<std::vector<DirectoryEntry>> list(const std::string& directory) override;
  Result<FileInfo> info(const std::string& path) override;
  Status create_directories(const std::string& path) override;
  Status remove_file(const std::string& path) override { return remove(path, false); }
  Status remove_directory(const std::string& path) override { return remove(path, true); }
  Status rename(const std::string& from, const std::string& to) override;
  Status link(const std::string& from, const std::string& to) override;
  Status sync_directory(const std::string& directory) override;
  Result<std::unique_ptr<FileLock>> lock(const std::string& path) override;
  Result<uint64_t> free_bytes(const std::string& path) override;

  // Of the handles. A boot is the time between two power cuts: files of an earlier one are dead.
  struct Handle {
    ForgettingFiles& disk;
    NodePtr node;
    uint64_t boot;
  };
  static Status write(const Handle& file, uint64_t offset, std::string_view data);
  static Status truncate(const Handle& file, uint64_t size);
  static Status sync(const Handle& file);
  static Result<size_t> read(const Handle& file, uint64_t offset, std::span<char> out);
  static Result<uint64_t> size(const Handle& file);
  static void unlock(const Handle& file);

  // Of the test.
  mutable base::Mutex mutex_;
  uint64_t changes_ GUARDED_BY(mutex_) = 0;
  uint64_t cut_at_ GUARDED_BY(mutex_) = 0;  // 0: never
  uint64_t fail_from_ GUARDED_BY(mutex_) = 0;
  uint64_t fail_to_ GUARDED_BY(mutex_) = 0;
  uint64_t capacity_ GUARDED_BY(mutex_) = ~uint64_t{0};
  uint64_t boot_ GUARDED_BY(mutex_) = 0;
  bool powered_ GUARDED_BY(mutex_) = true;

  void power_on(unsigned kept_percent) REQUIRES(mutex_) {
    root_->forget(kept_percent);
    ++boot_;
    cut_at_ = 0;
    powered_ = true;
  }

 private:
  Status reading(uint64_t boot) const REQUIRES(mutex_) {
    if (boot != boot_) return fail(ErrorCode::kIo, "the file was open before a power cut");
    return {};
  }
  Status changing(uint64_t boot) REQUIRES(mutex_) {
    POLDER_CHECK(reading(boot));
    if (powered_) ++changes_;
    if (changes_ == cut_at_) powered_ = false;
    if (!powered_) return fail(ErrorCode::kIo, "the power is gone");
    if (changes_ >= fail_from_ && changes_ < fail_to_)
      return fail(ErrorCode::kIo, "the disk fails");
    return {};
  }
  Status room_for(uint64_t more) const REQUIRES(mutex_) {
    if (capacity_ == ~uint64_t{0} || root_->bytes() + more <= capacity_) return {};
    return fail(ErrorCode::kIo, "no space left on device");
  }
  Result<NodePtr> find(const std::string& path) const REQUIRES(mutex_);
  Result<NodePtr> find_directory(const std::string& path) const REQUIRES(mutex_);
  Result<NodePtr> open_or_create(const std::string& path) REQUIRES(mutex_);
  Status remove(const std::string& path, bool is_directory);

  const base::Clock& clock_;
  const NodePtr root_;
};

namespace {

std::string name_of(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

Error not_found(const std::string& path) {
  return fail(ErrorCode::kNotFound, path + ": No such file or directory");
}

}  // namespace

Result<NodePtr> ForgettingFiles::find(const std::string& path) const {
  NodePtr node = root_;
  for (size_t at = 0; at < path.size();) {
    const size_t end = std::min(path.find('/', at), path.size());
    const std::string name = path.substr(at, end - at);
    at = end + 1;
    if (name.empty() || name == ".") continue;
    const auto found = node->entries.find(name);
    if (found == node->entries.end()) return not_found(path);
    node = found->second;
  }
  return node;
}

Result<NodePtr> ForgettingFiles::find_directory(const std::string& path) const {
  POLDER_TRY(NodePtr node, find(path));
  if (!node->is_directory) return fail(ErrorCode::kIo, path + ": Not a directory");
  return node;
}

Result<NodePtr> ForgettingFiles::open_or_create(const std::string& path) {
  POLDER_TRY(const NodePtr folder, find_directory(parent_of(path)));
  const auto found = folder->entries.find(name_of(path));
  if (found != folder->entries.end()) {
    if (found->second->is_directory) return fail(ErrorCode::kIo, path + ": Is a directory");
    return found->second;
  }
  POLDER_CHECK(changing(boot_));
  auto node = std::make_shared<Node>();
  node->modified_s = clock_.wall_ms() / 1000;
  folder->entries.emplace(name_of(path), node);
  return node;
}

Status ForgettingFiles::remove(const std::string& path, bool is_directory) {
  base::note_disk_use("file");
  const base::Lock lock(mutex_);
  POLDER_CHECK(changing(boot_));
  POLDER_TRY(const NodePtr node, find(path));
  if (node->is_directory != is_directory) return fail(ErrorCode::kIo, path + ": of another kind");
  if (!node->entries.empty()) return fail(ErrorCode::kIo, path + ": Directory not empty");
  POLDER_TRY(const NodePtr folder, find_directory(parent_of(path)));
  folder->entries.erase(name_of(path));
  return {};
}

Status ForgettingFiles::create_directories(const std::string& path) {
  base::note_disk_use("file");
  const base::Lock lock(mutex_);
  for (size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    const std::string part = path.substr(0, end);
    POLDER_TRY(const NodePtr folder, find_directory(parent_of(part)));
    const auto found = folder->entries.find(name_of(part));
    if (found != folder->entries.end()) {
      if (!found->second->is_directory) return fail(ErrorCode::kExists, part + ": not a directory");
    } else if (!name_of(part).empty()) {
      POLDER_CHECK(changing(boot_));
      auto node = std::make_shared<Node>();
      node->is_directory = true;
      folder->entries.emplace(name_of(part), node);
      POLDER_CHECK(changing(boot_));
      folder->sync();
    }
    if (end == std::string::npos) return {};
  }
}

Result<std::vector<DirectoryEntry>> ForgettingFiles::list(const std::string& directory) {
  base::note_disk_use("file");
  const base::Lock lock(mutex_);
  POLDER_TRY(const NodePtr folder, find_directory(directory));
  std::vector<DirectoryEntry> entries;
  for (const auto& [name, node] : folder->entries)
    entries.push_back({name, node->is_directory});
  return entries;
}

Result<FileInfo> ForgettingFiles::info(const std::string& path) {
  base::note_disk_use("file");
  const base::Lock lock(mutex_);
  POLDER_TRY(const NodePtr node, find(path));
  return FileInfo{node->data.size(), node->modified_s, node->is_directory};
}

Status ForgettingFiles::rename(const std::string& from, const std::string& to) {
  base::note_disk_use("file");
  const base::Lock lock(mutex_);
  POLDER_CHECK(changing(boot_));
  POLDER_TRY(const NodePtr node, find(from));
  POLDER_TRY(const NodePtr old_folder, find_directory(parent_of(from)));
  POLDER_TRY(const NodePtr new_folder, find_directory(parent_of(to)));
  old_folder->entries.erase(name_of(from));
  new_folder->entries.insert_or_assign(name_of(to), node);
  return {};
}

Status ForgettingFiles::link(const std::string& from, const std::string& to) {
  base::note_disk_use("file");
  const base::Lock lock(mutex_);
  POLDER_CHECK(changing(boot_));
  POLDER_TRY(const NodePtr node, find(from));
  POLDER_TRY(const NodePtr folder, find_directory(parent_of(to)));
  if (!folder->entries.emplace(name_of(to), node).second)
    return fail(ErrorCode::kExists, to + ": File exists");
  return {};
}

Status ForgettingFiles::sync_directory(const std::string& directory) {
  base::note_disk_use("file");
  const base::Lock lock(mutex_);
  POLDER_CHECK(changing(boot_));
  POLDER_TRY(const NodePtr folder, find_directory(directory));
  folder->sync();
  return {};
}

Result<uint64_t> ForgettingFiles::free_bytes(const std::string& path) {
  base::note_disk_use("file");
  const base::Lock lock(mutex_);
  POLDER_TRY(const NodePtr node, find(path));
  const uint64_t used = root_->bytes();
  return capacity_ > used ? capacity_ - used : 0;
}

Status ForgettingFiles::write(const Handle& file, uint64_t offset, std::string_view data) {
  base::note_disk_use("file");
  const base::Lock lock(file.disk.mutex_);
  POLDER_CHECK(file.disk.changing(file.boot));
  Node& node = *file.node;
  const uint64_t end = offset + data.size();
  if (end > node.data.size()) {
    POLDER_CHECK(file.disk.room_for(end - node.data.size()));
    node.data.resize(end);
  }
  node.data.replace(offset, data.size(), data);
  node.same = std::min(node.same, offset);
  node.modified_s = file.disk.clock_.wall_ms() / 1000;
  return {};
}

Status ForgettingFiles::truncate(const Handle& file, uint64_t size) {
  base::note_disk_use("file");
  const base::Lock lock(file.disk.mutex_);
  POLDER_CHECK(file.disk.changing(file.boot));
  file.node->data.resize(size);
  file.node->same = std::min(file.node->same, size);
  return {};
}

Status ForgettingFiles::sync(const Handle& file) {
  base::note_disk_use("file");
  const base::Lock lock(file.disk.mutex_);
  POLDER_CHECK(file.disk.changing(file.boot));
  file.node->sync();
  return {};
}

Result<size_t> ForgettingFiles::read(const Handle& file, uint64_t offset, std::span<char> out) {
  base::note_disk_use("file");
  const base::Lock lock(file.disk.mutex_);
  POLDER_CHECK(file.disk.reading(file.boot));
  const std::string& data = file.node->data;
  if (offset >= data.size()) return size_t{0};
  return data.copy(out.data(), out.size(), offset);
}

Result<uint64_t> ForgettingFiles::size(const Handle& file) {
  base::note_disk_use("file");
  const base::Lock lock(file.disk.mutex_);
  POLDER_CHECK(file.disk.reading(file.boot));
  return uint64_t{file.node->data.size()};
}

void ForgettingFiles::unlock(const Handle& file) {
  base::note_disk_use("file");
  const base::Lock lock(file.disk.mutex_);
  if (file.boot == file.disk.boot_) file.node->locked = false;
}

namespace {

using Handle = ForgettingFiles::Handle;

class ForgettingWritable final : public WritableFile {
 public:
  ForgettingWritable(Handle file, uint64_t size) : file_(std::move(file)), size_(size) {}
  Status append(std::string_view data) override {
    POLDER_CHECK(ForgettingFiles::write(file_, size_, data));
    size_ += data.size();
    return {};
  }
  Status truncate(uint64_t size) override {
    POLDER_CHECK(ForgettingFiles::truncate(file_, size));
    size_ = size;
    return {};
  }
  Status sync() override { return ForgettingFiles::sync(file_); }
  Status close() override { return {}; }
  uint64_t size() const override { return size_; }

 private:
  const Handle file_;
  uint64_t size_;
};

class ForgettingReadable final : public ReadableFile {
 public:
  explicit ForgettingReadable(Handle file) : file_(std::move(file)) {}
  Result<size_t> read_into(uint64_t offset, std::span<char> out) const override {
    return ForgettingFiles::read(file_, offset, out);
  }
  Result<uint64_t> size() const override { return ForgettingFiles::size(file_); }

 private:
  const Handle file_;
};

class ForgettingRandom final : public RandomFile {
 public:
  explicit ForgettingRandom(Handle file) : file_(std::move(file)) {}
  Status write(uint64_t offset, std::string_view data) override {
    return ForgettingFiles::write(file_, offset, data);
  }
  Result<size_t> read_into(uint64_t offset, std::span<char> out) const override {
    return ForgettingFiles::read(file_, offset, out);
  }
  Status sync() override { return ForgettingFiles::sync(file_); }
  Status close() override { return {}; }

 private:
  const Handle file_;
};

class ForgettingLock final : public FileLock {
 public:
  explicit ForgettingLock(Handle file) : file_(std::move(file)) {}
  ~ForgettingLock() override { ForgettingFiles::unlock(file_); }

 private:
  const Handle file_;
};

}  // namespace

Result<std::unique_ptr<WritableFile>> ForgettingFiles::open_for_write(const std::string& path,
                                                                      OpenMode mode) {
  base::note_disk_use("file");
  const base::Lock lock(mutex_);
  POLDER_TRY(const NodePtr node, open_or_create(path));
  if (mode == OpenMode::kTruncate && !node->data.empty()) {
    POLDER_CHECK(changing(boot_));
    node->data.clear();
    node->same = 0;
  }
  return std::unique_ptr<WritableFile>(
      std::make_unique<ForgettingWritable>(Handle{*this, node, boot_}, node->data.size()));
}

Result<std::unique_ptr<ReadableFile>> ForgettingFiles::open_for_read(const std::string& path) {
  base::note_disk_use("file");
  const base::Lock lock(mutex_);
  POLDER_TRY(const NodePtr node, find(path));
  return std::unique_ptr<ReadableFile>(
      std::make_unique<ForgettingReadable>(Handle{*this, node, boot_}));
}

Result<std::unique_ptr<RandomFile>> ForgettingFiles::open_random(const std::string& path) {
  base::note_disk_use("file");
  const base::Lock lock(mutex_);
  POLDER_TRY(const NodePtr node, open_or_create(path));
  return std::unique_ptr<RandomFile>(
      std::make_unique<ForgettingRandom>(Handle{*this, node, boot_}));
}

Result<std::unique_ptr<FileLock>> ForgettingFiles::lock(const std::string& path) {
  base::note_disk_use("file");
  const base::Lock lock(mutex_);
  POLDER_TRY(const NodePtr node, open_or_create(path));
  if (node->locked) return fail(ErrorCode::kExists, path + ": locked by another");
  node->locked = true;
  return std::unique_ptr<FileLock>(std::make_unique<ForgettingLock>(Handle{*this, node, boot_}));
}

ForgettingDisk::ForgettingDisk(const base::Clock& clock)
    : disk_(std::make_unique<ForgettingFiles>(clock)) {}

ForgettingDisk::~ForgettingDisk() = default;

FileSystem& ForgettingDisk::files() {
  return *disk_;
}

uint64_t ForgettingDisk::changes() const {
  const base::Lock lock(disk_->mutex_);
  return disk_->changes_;
}

void ForgettingDisk::cut_power_at(uint64_t change) {
  const base::Lock lock(disk_->mutex_);
  disk_->cut_at_ = disk_->changes_ + change;
}

void ForgettingDisk::cut_power() {
  const base::Lock lock(disk_->mutex_);
  disk_->powered_ = false;
}

bool ForgettingDisk::powered() const {
  const base::Lock lock(disk_->mutex_);
  return disk_->powered_;
}

void ForgettingDisk::power_on(unsigned kept_percent) {
  const base::Lock lock(disk_->mutex_);
  disk_->power_on(kept_percent);
}

void ForgettingDisk::fail_at(uint64_t change, uint64_t count) {
  const base::Lock lock(disk_->mutex_);
  disk_->fail_from_ = disk_->changes_ + change;
  disk_->fail_to_ = disk_->fail_from_ + count;
}

void ForgettingDisk::set_capacity(uint64_t bytes) {
  const base::Lock lock(disk_->mutex_);
  disk_->capacity_ = bytes;
}

}  // namespace polder::files
