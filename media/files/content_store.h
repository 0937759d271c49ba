// The bytes of media: one file per content, named by its SHA-256, below one directory.
//
//   <directory>/new/<boot>-<number>   being written, or being removed
//   <directory>/ab/cdef...            complete and synced
//
// A file is written under a temporary name, synced, renamed and its directory synced; only then may
// a row refer to it. So every row's file is whole; a crash leaves files that no row refers to,
// which sweep() removes.
#pragma once

#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "homeserver/base/http/message.h"
#include "homeserver/base/runtime/runtime.h"
#include "homeserver/base/values/bytes.h"
#include "homeserver/base/values/mutex.h"
#include "storage/files/files.h"
#include "storage/kv/kv.h"

namespace polder::media {

// Why a file that a row refers to is not what it should be; reads all of it.
Status check_content(files::FileSystem& files, const std::string& directory, const Digest& digest);

inline constexpr size_t kFolders = 256;            // by the first byte of a digest
inline constexpr size_t kChunkBytes = 256 * 1024;  // read and written at a time
inline constexpr std::string_view kSweepJob = "media_sweep";
inline constexpr Millis kReceiveTimeMax{30 * 60'000};  // for all of a body

// Thread-safe; called on shards. What it is made of outlives it.
class ContentStore {
 public:
  ContentStore(runtime::Runtime& runtime, files::FileSystem& files, const kv::Database& database,
               std::string directory);

  struct Content {
    Digest digest{};
    uint64_t size = 0;  // bytes
  };
  // Makes a row refer to the content, durably.
  using Refer = std::function<Task<Status>(Content)>;
  // Takes all of a body, which outlives the call, and has a row refer to it once it is on disk. If
  // that fails, the content goes again. kTooLarge beyond the limit (the rest is not read),
  // kTimeout, kIo, and the errors of the body and of refer.
  Task<Status> put(http::BodySource& body, uint64_t bytes_max, Refer refer);
  // A part of a content that lies within it; fails with kNotFound, kIo, kCorrupt.
  Task<Result<std::unique_ptr<http::BodySource>>> read(Digest digest, uint64_t offset,
                                                       uint64_t length);
  // Removes the file unless a row refers to it or it is pinned.
  Task<void> collect(Digest digest);
  // Removes what crashes left behind: once, in the background, a few files at a time.
  Task<void> sweep();

 private:
  struct Incoming;

  // Keeps a file although no row refers to it yet.
  class Pin {
   public:
    Pin(ContentStore* store, const Digest& digest) : store_(store), digest_(digest) {}
    Pin(Pin&& other) noexcept
        : store_(std::exchange(other.store_, nullptr)), digest_(other.digest_) {}
    Pin& operator=(Pin&&) = delete;
    ~Pin() {
      if (store_ != nullptr) store_->unpin(digest_);
    }

   private:
    ContentStore* store_;
    Digest digest_;
  };
  struct Published {
    Content content;
    Pin pin;
  };

  Task<Status> receive(http::BodySource& body, uint64_t bytes_max,
                       std::shared_ptr<Incoming> incoming);
  // These block.
  Result<std::shared_ptr<Incoming>> create_incoming();
  Result<Published> publish(Incoming& incoming);
  Status make_folder(const Digest& digest);
  bool collect_now(const Digest& digest);
  bool move_away(const Digest& digest, const std::string& away);
  void sweep_temporaries();
  std::vector<Digest> list_folder(size_t index) const;

  Pin pin(const Digest& digest);  // may wait: on the pool
  void unpin(const Digest& digest);
  std::string temporary_path();

  runtime::Runtime& runtime_;
  files::FileSystem& files_;
  const kv::Database& database_;
  const std::string directory_;
  const std::string boot_;  // tells this process's temporary files from those of earlier ones
  std::atomic<uint64_t> next_temporary_ = 0;

  base::Mutex mutex_;
  base::Condition moved_;
  std::map<Digest, size_t> pins_ GUARDED_BY(mutex_);
  // Files without row that are being moved away: a pin comes before or after, and waits on the
  // pool.
  std::set<Digest> moving_ GUARDED_BY(mutex_);
  base::Mutex folders_;  // held while a folder is made, on the pool only
  std::array<bool, kFolders> folders_durable_ GUARDED_BY(folders_){};
};

}  // namespace polder::media
