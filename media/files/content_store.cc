#include "media/files/content_store.h"

#include "homeserver/base/crypto/hash.h"
#include "storage/stores/media/media_rows.h"

namespace polder::media {
namespace {

constexpr size_t kSweptAtOnce = 64;
constexpr size_t kBootLetters = 16;

std::string folder_name(size_t index) {
  const auto byte = static_cast<uint8_t>(index);
  return base::hex_encode({&byte, 1});
}

std::string folder_of(const std::string& directory, const Digest& digest) {
  return directory + "/" + folder_name(digest[0]);
}

std::string path_of(const std::string& directory, const Digest& digest) {
  return folder_of(directory, digest) + "/" + base::hex_encode(ByteSpan(digest).subspan(1));
}

// A content as it is asked for: a part of it, or all, which is then compared with its name. Of a
// damaged one the end is not given. Shared with work on the pool.
struct Reading {
  Digest digest{};
  std::string path;
  std::unique_ptr<files::ReadableFile> file = nullptr;
  uint64_t offset = 0;
  uint64_t left = 0;
  bool whole = false;
  crypto::Sha256 hash = {};

  Result<std::string> next(size_t size) {
    POLDER_TRY(std::string bytes, file->read(offset, size));
    if (bytes.size() != size) return fail(ErrorCode::kCorrupt, path + ": too short");
    offset += size;
    left -= size;
    if (!whole) return bytes;
    hash.add(bytes);
    if (left == 0 && hash.finish() != digest) return fail(ErrorCode::kCorrupt, path + ": damaged");
    return bytes;
  }
};

// A file, read as it is asked for.
class FileBody final : public http::BodySource {
 public:
  FileBody(runtime::Runtime& runtime, std::shared_ptr<Reading> reading)
      : runtime_(runtime), reading_(std::move(reading)) {}

  Task<Result<std::optional<std::string>>> next() override {
    if (reading_->left == 0) co_return std::optional<std::string>();
    const auto size = static_cast<size_t>(std::min<uint64_t>(reading_->left, kChunkBytes));
    auto bytes = co_await runtime::on_pool(
        runtime_, runtime::Lane::kLong, [reading = reading_, size] { return reading->next(size); });
    if (bytes.ok()) co_return std::optional(*std::move(bytes));
    runtime_.log().error("media_unreadable", {{"reason", bytes.error().message}});
    co_return std::move(bytes).error();
  }

 private:
  runtime::Runtime& runtime_;
  const std::shared_ptr<Reading> reading_;
};

}  // namespace

Status check_content(files::FileSystem& files, const std::string& directory, const Digest& digest) {
  Reading reading{digest, path_of(directory, digest)};
  POLDER_TRY(reading.file, files.open_for_read(reading.path));
  POLDER_TRY(reading.left, reading.file->size());
  reading.whole = true;
  while (reading.left > 0)
    POLDER_CHECK(reading.next(static_cast<size_t>(std::min<uint64_t>(reading.left, kChunkBytes))));
  return {};
}

struct ContentStore::Incoming {
  std::string path;
  std::unique_ptr<files::WritableFile> file;
  crypto::Sha256 hash;
  uint64_t size = 0;

  Status append(std::string_view chunk) {
    hash.add(chunk);
    size += chunk.size();
    return file->append(chunk);
  }
};

ContentStore::ContentStore(runtime::Runtime& runtime, files::FileSystem& files,
                           const kv::Database& database, std::string directory)
    : runtime_(runtime),
      files_(files),
      database_(database),
      directory_(std::move(directory)),
      boot_(runtime.random().letters(kBootLetters)) {}

Task<Status> ContentStore::put(http::BodySource& body, uint64_t bytes_max, Refer refer) {
  POLDER_CO_TRY(const auto incoming,
                co_await runtime::on_pool(runtime_, runtime::Lane::kLong,
                                          [this] { return create_incoming(); }));
  Status outcome = co_await receive(body, bytes_max, incoming);
  Digest digest{};
  if (outcome.ok()) {
    const auto published = co_await runtime::on_pool(
        runtime_, runtime::Lane::kLong, [this, incoming] { return publish(*incoming); });
    outcome = published.ok() ? co_await refer(published->content) : Status(published.error());
    if (published.ok()) digest = published->content.digest;
  }
  if (outcome.ok()) co_return outcome;
  // What went wrong first is what the caller must know; a leftover goes with the next sweep.
  static_cast<void>(co_await runtime::on_pool(runtime_, runtime::Lane::kLong, [this, incoming] {
    return files_.remove_file(incoming->path);
  }));
  if (digest != Digest{}) co_await collect(digest);
  co_return outcome;
}

Task<Status> ContentStore::receive(http::BodySource& body, uint64_t bytes_max,
                                   std::shared_ptr<Incoming> incoming) {
  const auto deadline = runtime_.clock().steady() + kReceiveTimeMax;
  for (bool more = true; more;) {
    std::string chunk;
    while (chunk.size() < kChunkBytes) {
      POLDER_CO_TRY(const auto piece, co_await body.next());
      more = piece.has_value();
      if (!more) break;
      if (incoming->size + chunk.size() + piece->size() > bytes_max)
        co_return fail(ErrorCode::kTooLarge, "the file is too large");
      if (runtime_.clock().steady() > deadline)
        co_return fail(ErrorCode::kTimeout, "the file took too long to arrive");
      chunk += *piece;
    }
    POLDER_CO_CHECK(co_await runtime::on_pool(
        runtime_, runtime::Lane::kLong,
        [incoming, bytes = std::move(chunk)] { return incoming->append(bytes); }));
  }
  co_return Status();
}

Result<std::shared_ptr<ContentStore::Incoming>> ContentStore::create_incoming() {
  POLDER_CHECK(files_.create_directories(directory_ + "/new"));
  auto incoming = std::make_shared<Incoming>();
  incoming->path = temporary_path();
  POLDER_TRY(incoming->file, files_.open_for_write(incoming->path, files::OpenMode::kTruncate));
  return incoming;
}

// The same content may be there already: the rename puts equal bytes in its place.
Result<ContentStore::Published> ContentStore::publish(Incoming& incoming) {
  POLDER_CHECK(incoming.file->sync());
  POLDER_CHECK(incoming.file->close());
  const Digest digest = incoming.hash.finish();
  POLDER_CHECK(make_folder(digest));
  Published published{{digest, incoming.size}, pin(digest)};
  POLDER_CHECK(files_.rename(incoming.path, path_of(directory_, digest)));
  POLDER_CHECK(files_.sync_directory(folder_of(directory_, digest)));
  return published;
}

// Every process syncs the way to a folder once: it may have been made by one that crashed.
Status ContentStore::make_folder(const Digest& digest) {
  const base::Lock lock(folders_);
  if (folders_durable_[digest[0]]) return {};
  const base::DiskAllowed allowed;  // no shard waits for this lock
  POLDER_CHECK(files_.create_directories(folder_of(directory_, digest)));
  POLDER_CHECK(files_.sync_directory(directory_));
  POLDER_CHECK(files_.sync_directory(files::parent_of(directory_)));
  folders_durable_[digest[0]] = true;
  return {};
}

Task<Result<std::unique_ptr<http::BodySource>>> ContentStore::read(Digest digest, uint64_t offset,
                                                                   uint64_t length) {
  auto reading = std::make_shared<Reading>(Reading{digest, path_of(directory_, digest)});
  POLDER_CO_CHECK(co_await runtime::on_pool(runtime_, runtime::Lane::kLong, [=, this]() -> Status {
    POLDER_TRY(reading->file, files_.open_for_read(reading->path));
    POLDER_TRY(const uint64_t size, reading->file->size());
    reading->whole = offset == 0 && length == size;
    return {};
  }));
  reading->offset = offset;
  reading->left = length;
  co_return std::unique_ptr<http::BodySource>(
      std::make_unique<FileBody>(runtime_, std::move(reading)));
}

Task<void> ContentStore::collect(Digest digest) {
  co_await runtime::on_pool(runtime_, runtime::Lane::kLong,
                            [this, digest] { return collect_now(digest); });
}

// Whoever pins from now on finds no file and brings its own.
bool ContentStore::collect_now(const Digest& digest) {
  const std::string away = temporary_path();
  {
    const base::Lock lock(mutex_);
    if (pins_.contains(digest) || !moving_.insert(digest).second) return false;
  }
  const bool moved = move_away(digest, away);
  {
    const base::Lock lock(mutex_);
    moving_.erase(digest);
    moved_.notify_all();
  }
  return moved && files_.remove_file(away).ok();
}

bool ContentStore::move_away(const Digest& digest, const std::string& away) {
  const auto referenced = stores::is_referenced(*database_.snapshot(), digest);
  return referenced.ok() && !*referenced && files_.create_directories(directory_ + "/new").ok() &&
         files_.rename(path_of(directory_, digest), away).ok();
}

Task<void> ContentStore::sweep() {
  co_await runtime::on_pool(runtime_, runtime::Lane::kLong, [this] {
    sweep_temporaries();
    return true;
  });
  size_t removed = 0;
  runtime_.jobs().can_stop(kSweepJob);
  for (size_t index = 0; index < kFolders && !runtime_.jobs().stop_asked(kSweepJob); ++index) {
    runtime_.jobs().progress(kSweepJob, index, kFolders);
    const auto digests = co_await runtime::on_pool(runtime_, runtime::Lane::kLong,
                                                   [this, index] { return list_folder(index); });
    for (size_t from = 0; from < digests.size(); from += kSweptAtOnce) {
      const std::vector<Digest> some(digests.begin() + static_cast<std::ptrdiff_t>(from),
                                     digests.begin() + static_cast<std::ptrdiff_t>(std::min(
                                                           from + kSweptAtOnce, digests.size())));
      removed += co_await runtime::on_pool(runtime_, runtime::Lane::kLong, [this, some] {
        return static_cast<size_t>(std::ranges::count_if(
            some, [this](const Digest& digest) { return collect_now(digest); }));
      });
    }
  }
  if (removed > 0) runtime_.log().info("media_swept", {{"files", removed}});
}

void ContentStore::sweep_temporaries() {
  const auto entries = files_.list(directory_ + "/new");
  if (!entries.ok()) return;  // nothing was ever stored
  for (const auto& entry : *entries) {
    if (!entry.is_directory && !entry.name.starts_with(boot_ + "-"))
      (void)files_.remove_file(directory_ + "/new/" + entry.name);
  }
}

std::vector<Digest> ContentStore::list_folder(size_t index) const {
  std::vector<Digest> digests;
  const auto entries = files_.list(directory_ + "/" + folder_name(index));
  if (!entries.ok()) return digests;
  for (const auto& entry : *entries) {
    const auto rest = base::hex_decode(entry.name);
    Digest digest{static_cast<uint8_t>(index)};
    if (!rest.ok() || rest->size() != digest.size() - 1) continue;
    std::ranges::copy(as_bytes(*rest), digest.begin() + 1);
    digests.push_back(digest);
  }
  return digests;
}

ContentStore::Pin ContentStore::pin(const Digest& digest) {
  base::Lock lock(mutex_);
  while (moving_.contains(digest))
    moved_.wait(lock);
  ++pins_[digest];
  return {this, digest};
}

void ContentStore::unpin(const Digest& digest) {
  const base::Lock lock(mutex_);
  const auto found = pins_.find(digest);
  if (--found->second == 0) pins_.erase(found);
}

std::string ContentStore::temporary_path() {
  return directory_ + "/new/" + boot_ + "-" + std::to_string(next_temporary_++);
}

}  // namespace polder::media
