#include "storage/backup/repository.h"

#include <algorithm>
#include <charconv>
#include <functional>

#include "homeserver/base/crypto/hash.h"

namespace polder::backup {
namespace {

constexpr std::string_view kListPrefix = "backup-";
constexpr size_t kNumberDigits = 6;
constexpr uint64_t kListBytesMax = uint64_t{1} << 30;
constexpr size_t kChunkBytes = size_t{1} << 20;

Error damaged(const std::string& path, const std::string& why) {
  return fail(ErrorCode::kCorrupt, path + ": damaged: " + why);
}

// Hashes the first bytes of a file, and hands them on.
using Sink = std::function<Status(std::string_view)>;
Result<Digest> read_through(files::FileSystem& files, const std::string& path, uint64_t size,
                            const Sink& sink) {
  POLDER_TRY(const auto file, files.open_for_read(path));
  crypto::Sha256 hash;
  for (uint64_t offset = 0; offset < size;) {
    const auto wanted = static_cast<size_t>(std::min<uint64_t>(size - offset, kChunkBytes));
    POLDER_TRY(const std::string chunk, file->read(offset, wanted));
    if (chunk.size() != wanted) return damaged(path, "too short");
    hash.add(chunk);
    POLDER_CHECK(sink(chunk));
    offset += wanted;
  }
  return hash.finish();
}

// The same, into another file, which is synced.
Result<Digest> copy(files::FileSystem& files, const std::string& from, uint64_t size,
                    const std::string& to) {
  POLDER_TRY(const auto file, files.open_for_write(to, files::OpenMode::kTruncate));
  POLDER_TRY(const Digest digest, read_through(files, from, size, [&](std::string_view chunk) {
               return file->append(chunk);
             }));
  POLDER_CHECK(file->sync());
  POLDER_CHECK(file->close());
  return digest;
}

}  // namespace

std::string Repository::path_of(const Digest& digest) const {
  const std::string name = base::hex_encode(digest);
  return directory_ + "/objects/" + name.substr(0, 2) + "/" + name.substr(2);
}

std::string Repository::list_path(uint64_t number) const {
  const std::string digits = std::to_string(number);
  const size_t zeros = kNumberDigits - std::min(kNumberDigits, digits.size());
  return directory_ + "/" + std::string(kListPrefix) + std::string(zeros, '0') + digits;
}

Status Repository::lock() {
  POLDER_CHECK(files_.create_directories(directory_ + "/objects"));
  POLDER_TRY(lock_, files_.lock(directory_ + "/lock"));
  return {};
}

Result<std::vector<uint64_t>> Repository::numbers() const {
  POLDER_TRY(const auto entries, files_.list(directory_));
  std::vector<uint64_t> numbers;
  for (const auto& entry : entries) {
    if (!entry.name.starts_with(kListPrefix)) continue;
    uint64_t number = 0;
    const char* end = entry.name.data() + entry.name.size();
    const auto read = std::from_chars(entry.name.data() + kListPrefix.size(), end, number);
    if (read.ec == std::errc() && read.ptr == end) numbers.push_back(number);
  }
  std::ranges::sort(numbers);
  return numbers;
}

Result<Listing> Repository::read(uint64_t number) const {
  const std::string path = list_path(number);
  POLDER_TRY(const std::string text, files_.read_all(path, kListBytesMax));
  auto listing = parse_listing(text);
  if (!listing.ok()) return fail(listing.error().code, path + ": " + listing.error().message);
  return listing;
}

Status Repository::add(uint64_t number, const Listing& listing) {
  for (const std::string& folder : unsynced_)
    POLDER_CHECK(files_.sync_directory(folder));
  unsynced_.clear();
  return files_.write_atomically(list_path(number), write_listing(listing));
}

bool Repository::has(const Digest& digest, uint64_t size) const {
  const auto about = files_.info(path_of(digest));
  return about.ok() && about->size == size;
}

Result<Repository::Added> Repository::add_file(const std::string& path, uint64_t size) {
  const std::string temporary = directory_ + "/objects/new";
  POLDER_TRY(const Digest digest, copy(files_, path, size, temporary));
  const Added added{digest, !has(digest, size)};
  if (added.is_new) POLDER_CHECK(publish(temporary, digest));
  return added;
}

Status Repository::publish(const std::string& temporary, const Digest& digest) {
  const std::string path = path_of(digest);
  const std::string folder = files::parent_of(path);
  POLDER_CHECK(files_.create_directories(folder));
  POLDER_CHECK(files_.rename(temporary, path));
  unsynced_.insert(folder);
  return {};
}

Status Repository::drop(const Digest& digest) {
  return files_.remove_file(path_of(digest));
}

Status Repository::get(const File& file, const std::string& path) const {
  const std::string object = path_of(file.digest);
  const auto digest = path.empty() ? read_through(files_, object, file.size,
                                                  [](std::string_view) { return Status(); })
                                   : copy(files_, object, file.size, path);
  if (!digest.ok() && digest.error().code == ErrorCode::kNotFound)
    return damaged(object, "missing, the content of " + file.name);
  POLDER_CHECK(digest);
  if (*digest != file.digest) return damaged(object, "not the content of " + file.name);
  return {};
}

Status Repository::keep(size_t count) {
  POLDER_TRY(const auto all, numbers());
  const size_t forgotten = all.size() - std::min(all.size(), count);
  std::set<std::string> named;
  for (size_t i = forgotten; i < all.size(); ++i) {
    POLDER_TRY(const Listing listing, read(all[i]));
    for (const File& file : listing.files)
      named.insert(path_of(file.digest));
  }
  for (size_t i = 0; i < forgotten; ++i)
    POLDER_CHECK(files_.remove_file(list_path(all[i])));
  if (forgotten > 0) POLDER_CHECK(files_.sync_directory(directory_));
  return remove_unnamed(named);
}

Status Repository::remove_unnamed(const std::set<std::string>& named) {
  const std::string objects = directory_ + "/objects";
  POLDER_TRY(const auto entries, files_.list(objects));
  for (const auto& entry : entries) {
    const std::string path = objects + "/" + entry.name;
    POLDER_CHECK(entry.is_directory ? remove_unnamed(path, named) : files_.remove_file(path));
  }
  return {};
}

Status Repository::remove_unnamed(const std::string& folder, const std::set<std::string>& named) {
  POLDER_TRY(const auto entries, files_.list(folder));
  for (const auto& entry : entries) {
    const std::string path = folder + "/" + entry.name;
    if (!named.contains(path)) POLDER_CHECK(files_.remove_file(path));
  }
  return {};
}

}  // namespace polder::backup
