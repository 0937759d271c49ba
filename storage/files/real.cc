#include <cerrno>
#include <system_error>

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "homeserver/base/values/disk.h"
#include "storage/files/files.h"

namespace polder::files {
namespace {

constexpr mode_t kFileMode = 0600;
constexpr mode_t kDirectoryMode = 0700;

Error system_error(const std::string& path, const char* what) {
  const int number = errno;
  ErrorCode code = ErrorCode::kIo;
  if (number == ENOENT) code = ErrorCode::kNotFound;
  if (number == EEXIST) code = ErrorCode::kExists;
  return fail(code, path + ": " + what + ": " + std::generic_category().message(number));
}

// Repeats a call that a signal interrupted.
template <class Call>
auto uninterrupted(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR)
    result = call();
  return result;
}

// Owns a file descriptor.
class Descriptor {
 public:
  Descriptor(int number, std::string path) : number_(number), path_(std::move(path)) {}
  Descriptor(Descriptor&& other) noexcept
      : number_(std::exchange(other.number_, -1)), path_(std::move(other.path_)) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() { (void)close(); }

  static Result<Descriptor> open(const std::string& path, int flags) {
    base::note_disk_use("file");
    const int number =
        uninterrupted([&] { return ::open(path.c_str(), flags | O_CLOEXEC, kFileMode); });
    if (number < 0) return system_error(path, "open");
    return Descriptor(number, path);
  }

  // Only a regular file. Of a pipe or a device that somebody put there, neither the opening nor a
  // read waits for who is at its other end.
  static Result<Descriptor> open_file(const std::string& path, int flags) {
    POLDER_TRY(auto file, open(path, flags | O_NONBLOCK));
    struct stat about{};
    if (::fstat(file.number(), &about) != 0) return file.error("fstat");
    if (!S_ISREG(about.st_mode)) return fail(ErrorCode::kInvalid, path + ": not a regular file");
    return file;
  }

  int number() const { return number_; }

  // Short writes are continued.
  Status write(uint64_t offset, std::string_view data) const {
    base::note_disk_use("file");
    while (!data.empty()) {
      const ssize_t count = uninterrupted(
          [&] { return ::pwrite(number_, data.data(), data.size(), static_cast<off_t>(offset)); });
      if (count < 0) return error("write");
      if (count == 0) return fail(ErrorCode::kIo, path_ + ": write: nothing was taken");
      offset += static_cast<uint64_t>(count);
      data.remove_prefix(static_cast<size_t>(count));
    }
    return {};
  }

  Result<size_t> read(uint64_t offset, std::span<char> out) const {
    base::note_disk_use("file");
    size_t filled = 0;
    while (filled < out.size()) {
      const ssize_t count = uninterrupted([&] {
        return ::pread(number_, out.data() + filled, out.size() - filled,
                       static_cast<off_t>(offset + filled));
      });
      if (count < 0) return error("read");
      if (count == 0) break;
      filled += static_cast<size_t>(count);
    }
    return filled;
  }

  Result<uint64_t> size() const {
    struct stat about{};
    if (::fstat(number_, &about) != 0) return error("fstat");
    return static_cast<uint64_t>(about.st_size);
  }

  Status sync_data() const {
    base::note_disk_use("file");
    if (uninterrupted([&] { return ::fdatasync(number_); }) != 0) return error("fdatasync");
    return {};
  }

  // Linux frees the number even when close() is interrupted, so it is never called again.
  Status close() {
    const int number = std::exchange(number_, -1);
    if (number >= 0 && ::close(number) != 0 && errno != EINTR) return error("close");
    return {};
  }

  Error error(const char* what) const { return system_error(path_, what); }

 private:
  int number_;
  std::string path_;
};

class RealWritable final : public WritableFile {
 public:
  RealWritable(Descriptor file, uint64_t size) : file_(std::move(file)), size_(size) {}
  Status append(std::string_view data) override {
    POLDER_CHECK(file_.write(size_, data));
    size_ += data.size();
    return {};
  }
  Status truncate(uint64_t size) override {
    if (uninterrupted([&] { return ::ftruncate(file_.number(), static_cast<off_t>(size)); }) != 0)
      return file_.error("ftruncate");
    size_ = size;
    return {};
  }
  Status sync() override { return file_.sync_data(); }
  Status close() override { return file_.close(); }
  uint64_t size() const override { return size_; }

 private:
  Descriptor file_;
  uint64_t size_;
};

class RealReadable final : public ReadableFile {
 public:
  explicit RealReadable(Descriptor file) : file_(std::move(file)) {}
  Result<size_t> read_into(uint64_t offset, std::span<char> out) const override {
    return file_.read(offset, out);
  }
  Result<uint64_t> size() const override { return file_.size(); }

 private:
  Descriptor file_;
};

class RealRandom final : public RandomFile {
 public:
  explicit RealRandom(Descriptor file) : file_(std::move(file)) {}
  Status write(uint64_t offset, std::string_view data) override {
    return file_.write(offset, data);
  }
  Result<size_t> read_into(uint64_t offset, std::span<char> out) const override {
    return file_.read(offset, out);
  }
  Status sync() override { return file_.sync_data(); }
  Status close() override { return file_.close(); }

 private:
  Descriptor file_;
};

// flock() belongs to the open file, not to the process: it excludes a second open of this process
// as well as another process.
class RealLock final : public FileLock {
 public:
  explicit RealLock(Descriptor file) : file_(std::move(file)) {}

 private:
  Descriptor file_;
};

class RealFiles final : public FileSystem {
 public:
  Result<std::unique_ptr<WritableFile>> open_for_write(const std::string& path,
                                                       OpenMode mode) override {
    const int truncate = mode == OpenMode::kTruncate ? O_TRUNC : 0;
    POLDER_TRY(auto file, Descriptor::open_file(path, O_WRONLY | O_CREAT | truncate));
    POLDER_TRY(const uint64_t size, file.size());
    return std::unique_ptr<WritableFile>(std::make_unique<RealWritable>(std::move(file), size));
  }
  Result<std::unique_ptr<ReadableFile>> open_for_read(const std::string& path) override {
    POLDER_TRY(auto file, Descriptor::open_file(path, O_RDONLY));
    return std::unique_ptr<ReadableFile>(std::make_unique<RealReadable>(std::move(file)));
  }
  Result<std::unique_ptr<RandomFile>> open_random(const std::string& path) override {
    POLDER_TRY(auto file, Descriptor::open_file(path, O_RDWR | O_CREAT));
    return std::unique_ptr<RandomFile>(std::make_unique<RealRandom>(std::move(file)));
  }

  Result<std::vector<DirectoryEntry>> list(const std::string& directory) override {
    base::note_disk_use("folder");
    const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(directory.c_str()), ::closedir);
    if (!folder) return system_error(directory, "opendir");
    std::vector<DirectoryEntry> entries;
    for (errno = 0; const dirent* entry = ::readdir(folder.get()); errno = 0) {
      const std::string name = entry->d_name;
      if (name == "." || name == "..") continue;
      struct stat about{};
      // A file that went away meanwhile is not listed.
      if (::fstatat(::dirfd(folder.get()), name.c_str(), &about, 0) != 0) continue;
      entries.push_back({name, S_ISDIR(about.st_mode)});
    }
    if (errno != 0) return system_error(directory, "readdir");
    return entries;
  }

  Result<FileInfo> info(const std::string& path) override {
    base::note_disk_use("folder");
    struct stat about{};
    if (::stat(path.c_str(), &about) != 0) return system_error(path, "stat");
    return FileInfo{static_cast<uint64_t>(about.st_size), about.st_mtim.tv_sec,
                    S_ISDIR(about.st_mode)};
  }

  Status create_directories(const std::string& path) override {
    base::note_disk_use("folder");
    for (size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
      const std::string part = path.substr(0, end);
      if (::mkdir(part.c_str(), kDirectoryMode) == 0) {
        POLDER_CHECK(sync_directory(parent_of(part)));
      } else {
        if (errno != EEXIST) return system_error(part, "mkdir");
        POLDER_TRY(const FileInfo about, info(part));
        if (!about.is_directory) return fail(ErrorCode::kExists, part + ": not a directory");
      }
      if (end == std::string::npos) return {};
    }
  }
  Status remove_file(const std::string& path) override {
    base::note_disk_use("folder");
    if (::unlink(path.c_str()) != 0) return system_error(path, "unlink");
    return {};
  }
  Status remove_directory(const std::string& path) override {
    base::note_disk_use("folder");
    if (::rmdir(path.c_str()) != 0) return system_error(path, "rmdir");
    return {};
  }
  Status rename(const std::string& from, const std::string& to) override {
    base::note_disk_use("folder");
    if (::rename(from.c_str(), to.c_str()) != 0) return system_error(from, "rename");
    return {};
  }
  Status link(const std::string& from, const std::string& to) override {
    base::note_disk_use("folder");
    if (::link(from.c_str(), to.c_str()) != 0) return system_error(from, "link");
    return {};
  }
  Status sync_directory(const std::string& directory) override {
    POLDER_TRY(auto folder, Descriptor::open(directory, O_RDONLY | O_DIRECTORY));
    if (uninterrupted([&] { return ::fsync(folder.number()); }) != 0) return folder.error("fsync");
    return folder.close();
  }

  Result<std::unique_ptr<FileLock>> lock(const std::string& path) override {
    POLDER_TRY(auto file, Descriptor::open_file(path, O_RDWR | O_CREAT));
    if (uninterrupted([&] { return ::flock(file.number(), LOCK_EX | LOCK_NB); }) != 0) {
      if (errno == EWOULDBLOCK)
        return fail(ErrorCode::kExists,
                    path + ": locked by another process, such as a running server");
      return file.error("flock");
    }
    return std::unique_ptr<FileLock>(std::make_unique<RealLock>(std::move(file)));
  }
  Result<uint64_t> free_bytes(const std::string& path) override {
    struct statvfs about{};
    if (::statvfs(path.c_str(), &about) != 0) return system_error(path, "statvfs");
    return uint64_t{about.f_bavail} * about.f_frsize;
  }
};

}  // namespace

std::unique_ptr<FileSystem> real_files() {
  return std::make_unique<RealFiles>();
}

}  // namespace polder::files
