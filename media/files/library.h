// What mxc:// URIs stand for: uploads of this server's users, ids that wait for their upload, and
// what was fetched from other servers; and how much of it there may be.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "homeserver/base/metrics/metrics.h"
#include "homeserver/base/runtime/sync.h"
#include "homeserver/base/values/ids.h"
#include "homeserver/base/values/mutex.h"
#include "media/files/content_store.h"
#include "media/files/describe.h"
#include "storage/kv/committer.h"
#include "storage/stores/media/media_rows.h"

namespace polder::media {

struct Limits {
  uint64_t upload_bytes_max = 100u << 20;               // of one file that is uploaded
  uint64_t user_bytes_max = 0;                          // of all that a user uploaded; 0: no limit
  uint64_t fetch_bytes_max = 100u << 20;                // of one file of another server
  uint64_t fetched_bytes_max = uint64_t{10'240} << 20;  // of all that is kept of them
};

inline constexpr size_t kUploadsOfUserMax = 8;    // at once
inline constexpr size_t kPendingOfUserMax = 100;  // ids without content
inline constexpr Millis kPendingLife{24 * 3'600'000};
inline constexpr Millis kWaitMax{60'000};  // for content that is still to come

// What everything in it is made of; all outlive it.
struct Parts {
  runtime::Runtime& runtime;
  kv::Database& database;
  kv::Committer& committer;
  ContentStore& contents;
  ServerName own_name;
  Limits limits;
};

struct LibraryStats {
  struct Kind {
    metrics::Counter files, bytes;
  };
  Kind uploaded, fetched, read;
};

// Thread-safe; called on shards. Bodies outlive the calls. Every change is on disk when it returns.
class Library {
 public:
  explicit Library(Parts parts);
  ~Library();

  // kTooLarge over the limit of a file, kForbidden over that of the user, kRateLimited if too many
  // are under way, and the body's own errors.
  Task<Result<MxcUri>> upload(stores::UserNumber user, Description what, http::BodySource& body);

  // An id whose content is to come until it expires. kRateLimited if the user has too many.
  struct Created {
    MxcUri uri;
    int64_t expires_ms = 0;
  };
  Task<Result<Created>> create(stores::UserNumber user);
  // Brings its content; errors as for upload(), and kNotFound if it was not created or has expired,
  // kForbidden if by another user, kExists if the content is there or on its way.
  Task<Status> upload_to(stores::UserNumber user, MxcUri uri, Description what,
                         http::BodySource& body);

  // What is here. Content that is still to come is waited for. kNotFound, or kTimeout if it has not
  // come.
  Task<Result<stores::MediaRow>> find(MxcUri uri, Millis wait);
  // Keeps what was fetched of another server, in the place of the oldest if there is too much.
  Task<Result<stores::MediaRow>> keep(MxcUri uri, Description what, http::BodySource& body);
  // A part that lies within the content.
  Task<Result<std::unique_ptr<http::BodySource>>> read(stores::MediaRow media, uint64_t offset,
                                                       uint64_t length);

  bool is_own(const MxcUri& uri) const { return uri.server() == parts_.own_name.view(); }
  const Parts& parts() const { return parts_; }
  const LibraryStats& stats() const { return stats_; }

 private:
  // What a user's requests are about to add to the rows.
  struct UnderWay {
    size_t uploads = 0;
    size_t creations = 0;
    uint64_t bytes = 0;  // on disk, without row yet
  };
  class Share;    // one request's part of its user's UnderWay
  class Filling;  // the exclusive right to bring an id's content
  struct Waiting;

  Task<Result<std::optional<stores::MediaRow>>> read_row(MxcUri uri) const;
  Task<Result<stores::MediaOfUser>> read_user(stores::UserNumber user) const;
  Task<Status> commit(MxcUri uri, stores::MediaRow row, std::optional<stores::MediaRow> before);
  // Of a user's row that has everything but the content.
  Task<Status> store(MxcUri uri, stores::MediaRow row, std::optional<stores::MediaRow> before,
                     http::BodySource& body, Share& share);
  Task<Status> refer(MxcUri uri, stores::MediaRow row, std::optional<stores::MediaRow> before,
                     Share& share);
  Task<Status> refer_fetched(MxcUri uri, stores::MediaRow row);
  Task<Result<stores::MediaRow>> wait_for(MxcUri uri, Millis wait);
  Task<void> wake(MxcUri uri);
  Task<Status> make_room();
  Task<Status> remove(MxcUri uri, stores::MediaRow row);
  Result<uint64_t> count_fetched(uint64_t added);  // blocks: on the pool
  stores::MediaRow new_row(stores::UserNumber user, Description what) const;
  MxcUri new_uri();
  size_t home_of(const MxcUri& uri) const;

  Parts parts_;
  LibraryStats stats_;
  base::Mutex mutex_;
  std::map<stores::UserNumber, UnderWay> under_way_ GUARDED_BY(mutex_);
  std::set<MxcUri> filling_ GUARDED_BY(mutex_);
  base::Mutex counting_;  // held while rows are counted, on the pool only
  std::optional<uint64_t> fetched_bytes_ GUARDED_BY(mutex_);  // once counted
  bool making_room_ GUARDED_BY(mutex_) = false;
  std::vector<std::unordered_map<MxcUri, std::shared_ptr<Waiting>>>
      waiting_;  // by shard, each touched on its own only
};

}  // namespace polder::media
