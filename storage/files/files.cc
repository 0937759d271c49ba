#include "storage/files/files.h"

namespace polder::files {
namespace {

// What a read_into() gives, as a string.
template <class File>
Result<std::string> read_string(const File& file, uint64_t offset, size_t size) {
  std::string data(size, '\0');
  POLDER_TRY(const size_t filled, file.read_into(offset, data));
  data.resize(filled);
  return data;
}

Status write_and_sync(FileSystem& files, const std::string& path, std::string_view data) {
  POLDER_TRY(auto file, files.open_for_write(path, OpenMode::kTruncate));
  POLDER_CHECK(file->append(data));
  POLDER_CHECK(file->sync());
  return file->close();
}

}  // namespace

std::string parent_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Result<std::string> ReadableFile::read(uint64_t offset, size_t size) const {
  return read_string(*this, offset, size);
}

Result<std::string> RandomFile::read(uint64_t offset, size_t size) const {
  return read_string(*this, offset, size);
}

Result<std::string> FileSystem::read_all(const std::string& path, uint64_t max_bytes) {
  POLDER_TRY(auto file, open_for_read(path));
  POLDER_TRY(const uint64_t size, file->size());
  if (size > max_bytes) return fail(ErrorCode::kTooLarge, path + ": larger than expected");
  return file->read(0, size);
}

Status FileSystem::write_atomically(const std::string& path, std::string_view data) {
  const std::string beside = path + ".new";
  Status written = write_and_sync(*this, beside, data);
  if (written.ok()) written = rename(beside, path);
  if (!written.ok()) {
    // The first failure is what the caller must know; a leftover is overwritten by the next try.
    (void)remove_file(beside);
    return written;
  }
  return sync_directory(parent_of(path));
}

}  // namespace polder::files
