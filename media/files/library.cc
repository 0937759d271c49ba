#include "media/files/library.h"

namespace polder::media {
namespace {

constexpr size_t kIdLetters = 24;  // 136 bits
constexpr size_t kRemovedAtOnce = 32;
constexpr size_t kRoundsMax = 1000;  // of making room

Status over_limit() {
  return fail(ErrorCode::kForbidden, "You have uploaded as much as you may");
}

}  // namespace

// Tasks that wait for one id's content.
struct Library::Waiting {
  explicit Waiting(runtime::Runtime& runtime) : signal(runtime) {}
  runtime::Signal signal;
  size_t tasks = 0;
  bool arrived = false;  // a signal has no memory
};

class Library::Share {
 public:
  static Result<std::unique_ptr<Share>> upload(Library& library, stores::UserNumber user) {
    const base::Lock lock(library.mutex_);
    UnderWay& under_way = library.under_way_[user];
    if (under_way.uploads >= kUploadsOfUserMax)
      return fail(ErrorCode::kRateLimited, "Too many uploads at once");
    ++under_way.uploads;
    return std::unique_ptr<Share>(new Share(library, user, {1, 0, 0}));
  }
  static std::unique_ptr<Share> creation(Library& library, stores::UserNumber user) {
    const base::Lock lock(library.mutex_);
    ++library.under_way_[user].creations;
    return std::unique_ptr<Share>(new Share(library, user, {0, 1, 0}));
  }
  ~Share() {
    const base::Lock lock(library_.mutex_);
    const auto found = library_.under_way_.find(user_);
    UnderWay& all = found->second;
    all = {all.uploads - own_.uploads, all.creations - own_.creations, all.bytes - own_.bytes};
    if (all.uploads + all.creations == 0) library_.under_way_.erase(found);
  }
  Share(const Share&) = delete;
  Share& operator=(const Share&) = delete;

  void add_bytes(uint64_t bytes) {
    const base::Lock lock(library_.mutex_);
    own_.bytes += bytes;
    library_.under_way_[user_].bytes += bytes;
  }
  // Of all of the user's requests.
  UnderWay all() const {
    const base::Lock lock(library_.mutex_);
    return library_.under_way_[user_];
  }

 private:
  Share(Library& library, stores::UserNumber user, UnderWay own)
      : library_(library), user_(user), own_(own) {}
  Library& library_;
  const stores::UserNumber user_;
  UnderWay own_;
};

class Library::Filling {
 public:
  static std::unique_ptr<Filling> begin(Library& library, const MxcUri& uri) {
    const base::Lock lock(library.mutex_);
    if (!library.filling_.insert(uri).second) return nullptr;
    return std::unique_ptr<Filling>(new Filling(library, uri));
  }
  ~Filling() {
    const base::Lock lock(library_.mutex_);
    library_.filling_.erase(uri_);
  }
  Filling(const Filling&) = delete;
  Filling& operator=(const Filling&) = delete;

 private:
  Filling(Library& library, MxcUri uri) : library_(library), uri_(std::move(uri)) {}
  Library& library_;
  const MxcUri uri_;
};

Library::Library(Parts parts) : parts_(std::move(parts)), waiting_(parts_.runtime.shard_count()) {}
Library::~Library() = default;

// --- What users of this server bring ---

// https://spec.matrix.org/v1.19/client-server-api/#post_matrixmediav3upload
Task<Result<MxcUri>> Library::upload(stores::UserNumber user, Description what,
                                     http::BodySource& body) {
  POLDER_CO_TRY(const auto share, Share::upload(*this, user));
  const MxcUri uri = new_uri();
  POLDER_CO_CHECK(co_await store(uri, new_row(user, std::move(what)), std::nullopt, body, *share));
  co_return uri;
}

// https://spec.matrix.org/v1.19/client-server-api/#post_matrixmediav1create
Task<Result<Library::Created>> Library::create(stores::UserNumber user) {
  const auto share = Share::creation(*this, user);
  size_t pending = share->all().creations - 1;
  POLDER_CO_TRY(const auto media, co_await read_user(user));
  const int64_t now = parts_.runtime.clock().wall_ms();
  stores::MediaRow row = new_row(user, {});
  row.expires_ms = now + kPendingLife.count();
  Created created{new_uri(), row.expires_ms};
  kv::Batch batch;
  stores::put_media(batch, created.uri, row, std::nullopt);
  for (const MxcUri& uri : media.pending) {
    POLDER_CO_TRY(const auto other, co_await read_row(uri));
    if (!other || !other->pending()) continue;
    if (other->expires_ms > now) {
      ++pending;
    } else {
      stores::erase_media(batch, uri, *other);
    }
  }
  if (pending >= kPendingOfUserMax)
    co_return fail(ErrorCode::kRateLimited, "Too many uploads are still to come");
  POLDER_CO_CHECK(co_await parts_.committer.commit(std::move(batch)));
  co_return created;
}

// https://spec.matrix.org/v1.19/client-server-api/#put_matrixmediav3uploadservernamemediaid
Task<Status> Library::upload_to(stores::UserNumber user, MxcUri uri, Description what,
                                http::BodySource& body) {
  if (!is_own(uri)) co_return fail(ErrorCode::kNotFound, "Unknown media ID");
  const auto filling = Filling::begin(*this, uri);
  POLDER_CO_TRY(const auto row, co_await read_row(uri));
  if (!row) co_return fail(ErrorCode::kNotFound, "Unknown media ID");
  if (row->uploader != user)
    co_return fail(ErrorCode::kForbidden, "The media ID was created by another user");
  if (!row->pending() || filling == nullptr)
    co_return fail(ErrorCode::kExists, "Media already uploaded");
  if (row->expires_ms <= parts_.runtime.clock().wall_ms())
    co_return fail(ErrorCode::kNotFound, "The media ID has expired");
  POLDER_CO_TRY(const auto share, Share::upload(*this, user));
  POLDER_CO_CHECK(co_await store(uri, new_row(user, std::move(what)), row, body, *share));
  runtime::spawn(parts_.runtime, parts_.runtime.shard(home_of(uri)), "media_arrived", wake(uri));
  co_return Status();
}

// The user's limit is looked at twice: before, so that nothing is written for who is over it, and
// after, because others of the same user's uploads were under way.
Task<Status> Library::store(MxcUri uri, stores::MediaRow row,
                            std::optional<stores::MediaRow> before, http::BodySource& body,
                            Share& share) {
  uint64_t bytes_max = parts_.limits.upload_bytes_max;
  if (const uint64_t user_max = parts_.limits.user_bytes_max; user_max > 0) {
    POLDER_CO_TRY(const auto media, co_await read_user(row.uploader));
    bytes_max = std::min(bytes_max, user_max - std::min(user_max, media.bytes));
  }
  if (bytes_max == 0) co_return over_limit();
  Status outcome =
      co_await parts_.contents.put(body, bytes_max, [&](ContentStore::Content content) {
        row.digest = content.digest;
        row.size = content.size;
        return refer(uri, row, before, share);
      });
  if (!outcome.ok() && outcome.error().code == ErrorCode::kTooLarge &&
      bytes_max < parts_.limits.upload_bytes_max) {
    co_return over_limit();
  }
  if (outcome.ok()) {
    stats_.uploaded.files.add();
    stats_.uploaded.bytes.add(row.size);
  }
  co_return outcome;
}

// What is counted as under way may have been committed by the time the rows are read: then it
// counts twice, never not at all.
Task<Status> Library::refer(MxcUri uri, stores::MediaRow row,
                            std::optional<stores::MediaRow> before, Share& share) {
  share.add_bytes(row.size);
  if (const uint64_t user_max = parts_.limits.user_bytes_max; user_max > 0) {
    const uint64_t under_way = share.all().bytes;
    POLDER_CO_TRY(const auto media, co_await read_user(row.uploader));
    if (media.bytes + under_way > user_max) co_return over_limit();
  }
  co_return co_await commit(std::move(uri), std::move(row), std::move(before));
}

Task<Status> Library::commit(MxcUri uri, stores::MediaRow row,
                             std::optional<stores::MediaRow> before) {
  kv::Batch batch;
  stores::put_media(batch, uri, row, before);
  POLDER_CO_CHECK(co_await parts_.committer.commit(std::move(batch)));
  co_return Status();
}

stores::MediaRow Library::new_row(stores::UserNumber user, Description what) const {
  stores::MediaRow row;
  row.uploader = user;
  row.created_ms = parts_.runtime.clock().wall_ms();
  row.content_type = std::move(what.content_type);
  row.file_name = std::move(what.file_name);
  return row;
}

MxcUri Library::new_uri() {
  return MxcUri::trusted("mxc://" + parts_.own_name.str() + "/" +
                         parts_.runtime.random().letters(kIdLetters));
}

// --- What is here ---

Task<Result<std::optional<stores::MediaRow>>> Library::read_row(MxcUri uri) const {
  return runtime::on_pool(parts_.runtime, [this, uri = std::move(uri)] {
    return stores::read_media(*parts_.database.snapshot(), uri);
  });
}

Task<Result<stores::MediaOfUser>> Library::read_user(stores::UserNumber user) const {
  return runtime::on_pool(parts_.runtime, [this, user] {
    return stores::read_media_of_user(*parts_.database.snapshot(), user);
  });
}

Task<Result<stores::MediaRow>> Library::find(MxcUri uri, Millis wait) {
  POLDER_CO_TRY(auto row, co_await read_row(uri));
  if (!row) co_return fail(ErrorCode::kNotFound, "Unknown media ID");
  if (!row->pending()) co_return *std::move(row);
  co_return co_await runtime::on_shard(parts_.runtime, home_of(uri), [this, uri, wait] {
    return wait_for(uri, std::min(wait, kWaitMax));
  });
}

// Everybody who waits for an id does so on one shard, where its arrival is told.
Task<Result<stores::MediaRow>> Library::wait_for(MxcUri uri, Millis wait) {
  auto& waiting = waiting_[parts_.runtime.current_shard()];
  auto& place = waiting[uri];
  if (!place) place = std::make_shared<Waiting>(parts_.runtime);
  const auto entry = place;
  ++entry->tasks;
  auto row = co_await read_row(uri);
  if (row.ok() && *row && (*row)->pending() &&
      (*row)->expires_ms > parts_.runtime.clock().wall_ms()) {
    if (!entry->arrived) co_await entry->signal.wait_for(wait);
    row = co_await read_row(uri);
  }
  if (--entry->tasks == 0) waiting.erase(uri);
  if (!row.ok()) co_return std::move(row).error();
  if (!*row || ((*row)->pending() && (*row)->expires_ms <= parts_.runtime.clock().wall_ms()))
    co_return fail(ErrorCode::kNotFound, "Unknown media ID");
  if ((*row)->pending()) co_return fail(ErrorCode::kTimeout, "Content has not yet been uploaded");
  co_return **std::move(row);
}

Task<void> Library::wake(MxcUri uri) {
  auto& waiting = waiting_[parts_.runtime.current_shard()];
  const auto found = waiting.find(uri);
  if (found == waiting.end()) co_return;
  found->second->arrived = true;
  found->second->signal.notify_all();
}

size_t Library::home_of(const MxcUri& uri) const {
  return std::hash<MxcUri>()(uri) % parts_.runtime.shard_count();
}

Task<Result<std::unique_ptr<http::BodySource>>> Library::read(stores::MediaRow media,
                                                              uint64_t offset, uint64_t length) {
  stats_.read.files.add();
  stats_.read.bytes.add(length);
  return parts_.contents.read(media.digest, offset, length);
}

// --- What other servers have ---

Task<Result<stores::MediaRow>> Library::keep(MxcUri uri, Description what, http::BodySource& body) {
  stores::MediaRow row = new_row(0, std::move(what));
  POLDER_CO_CHECK(co_await parts_.contents.put(body, parts_.limits.fetch_bytes_max,
                                               [&](ContentStore::Content content) {
                                                 row.digest = content.digest;
                                                 row.size = content.size;
                                                 return refer_fetched(uri, row);
                                               }));
  stats_.fetched.files.add();
  stats_.fetched.bytes.add(row.size);
  POLDER_CO_CHECK(co_await make_room());
  co_return row;
}

Task<Status> Library::refer_fetched(MxcUri uri, stores::MediaRow row) {
  POLDER_CO_TRY(const auto before, co_await read_row(uri));
  POLDER_CO_CHECK(co_await commit(uri, row, before));
  const uint64_t added = row.size - (before ? before->size : 0);
  POLDER_CO_CHECK(
      co_await runtime::on_pool(parts_.runtime, [this, added] { return count_fetched(added); }));
  if (before) co_await parts_.contents.collect(before->digest);
  co_return Status();
}

// The first count reads every row, that of what was added too. Counts modulo 2^64.
Result<uint64_t> Library::count_fetched(uint64_t added) {
  const base::Lock counting(counting_);
  {
    const base::Lock lock(mutex_);
    if (fetched_bytes_) return *fetched_bytes_ += added;
  }
  const base::DiskAllowed allowed;  // no shard waits for this lock
  POLDER_TRY(const uint64_t counted, stores::read_fetched_bytes(*parts_.database.snapshot()));
  const base::Lock lock(mutex_);
  return fetched_bytes_.emplace(counted);
}

// Removes the oldest that were fetched, but for the last, until the rest is within the limit.
Task<Status> Library::make_room() {
  {
    const base::Lock lock(mutex_);
    if (*fetched_bytes_ <= parts_.limits.fetched_bytes_max || std::exchange(making_room_, true))
      co_return Status();
  }
  Status outcome;
  for (size_t round = 0; outcome.ok() && round < kRoundsMax; ++round) {
    const auto oldest = co_await runtime::on_pool(parts_.runtime, [this] {
      return stores::read_oldest_fetched(*parts_.database.snapshot(), kRemovedAtOnce);
    });
    if (!oldest.ok()) outcome = oldest.error();
    if (!outcome.ok() || oldest->size() < 2) break;
    bool enough = false;
    for (size_t i = 0; outcome.ok() && !enough && i + 1 < oldest->size(); ++i) {
      const auto row = co_await read_row((*oldest)[i]);
      outcome = row.ok() ? Status() : Status(row.error());
      if (row.ok() && *row) outcome = co_await remove((*oldest)[i], **row);
      const base::Lock lock(mutex_);
      enough = *fetched_bytes_ <= parts_.limits.fetched_bytes_max;
    }
    if (enough) break;
  }
  const base::Lock lock(mutex_);
  making_room_ = false;
  co_return outcome;
}

// The row is gone from disk before the file is.
Task<Status> Library::remove(MxcUri uri, stores::MediaRow row) {
  kv::Batch batch;
  stores::erase_media(batch, uri, row);
  POLDER_CO_CHECK(co_await parts_.committer.commit(std::move(batch)));
  {
    const base::Lock lock(mutex_);
    *fetched_bytes_ -= std::min(*fetched_bytes_, row.size);
  }
  co_await parts_.contents.collect(row.digest);
  co_return Status();
}

}  // namespace polder::media
