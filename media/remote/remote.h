// Media of other servers: fetched when a user of this server asks, and kept (media/files).
#pragma once

#include <map>
#include <memory>
#include <string>

#include "federation/client/client.h"
#include "homeserver/base/egress/egress.h"
#include "homeserver/base/runtime/sync.h"
#include "homeserver/base/values/ids.h"
#include "media/files/library.h"

namespace polder::remote_media {

// Files are held in memory while they are fetched, and on disk afterwards: both are bounded, and
// what one user or one server takes is, too.
// How many are asked for at once, of which servers and hosts, the gate decides (egress); these are
// what may want to be.
inline constexpr size_t kFetchesMax = 64;  // at once
inline constexpr size_t kFetchesOfServerMax = 2;
inline constexpr size_t kFetchesOfUserMax = 4;
inline constexpr size_t kFetchesWaitingMax = 1000;
inline constexpr Millis kFetchTimeMax{100'000};
inline constexpr Millis kFailureLife{60'000};  // a refusal is remembered

// Bytes that a user may have fetched at once, and what comes back with time.
struct UserAllowance {
  int64_t bytes_max = int64_t{1} << 30;
  int64_t bytes_per_second = 256 << 10;
};

struct Parts {
  runtime::Runtime& runtime;
  client::FederationClient& federation;
  egress::Egress& egress;
  media::Library& library;
  UserAllowance allowance{};
};

// Thread-safe; called on shards. Its parts outlive it.
class RemoteMedia {
 public:
  explicit RemoteMedia(Parts parts) : parts_(parts), slot_free_(parts_.runtime) {}

  // Of another server: what is kept, or is now fetched for a user, who is charged with it. Media
  // that is not uploaded yet is waited for, there. kNotFound, kTooLarge, kTimeout, kRateLimited,
  // kUnavailable; those of the disk.
  Task<Result<stores::MediaRow>> find(MxcUri uri, stores::UserNumber user, Millis wait);

 private:
  // A fetch that is waiting for its place or under way; others that want the same wait for it.
  struct Fetch {
    explicit Fetch(runtime::Runtime& runtime) : done(runtime) {}
    runtime::Signal done;
    bool ended = false;
    Status outcome;
  };
  struct Failure {
    std::chrono::nanoseconds until{0};
    Error error;
  };
  struct Allowance {
    int64_t bytes = 0;
    std::chrono::nanoseconds at{0};
  };

  Task<Result<stores::MediaRow>> fetch(MxcUri uri, Millis wait);
  Task<Result<client::RemoteMedia>> follow(std::string location);

  // These run on the first shard, which keeps the books.
  Task<Result<bool>> begin(MxcUri uri, stores::UserNumber user, Millis wait);
  Task<Result<bool>> wait_for_slot(MxcUri uri, stores::UserNumber user,
                                   std::chrono::nanoseconds deadline);
  Task<Status> end(MxcUri uri, stores::UserNumber user, Status outcome, uint64_t bytes);
  void finish(const MxcUri& uri, Status outcome);
  bool slot_is_free(const MxcUri& uri, stores::UserNumber user) const;
  Allowance& allowance_of(stores::UserNumber user);
  void remember_failure(const MxcUri& uri, const Error& error);
  std::chrono::nanoseconds now() const { return parts_.runtime.clock().steady(); }

  Parts parts_;
  std::map<MxcUri, std::shared_ptr<Fetch>> fetches_;
  std::map<MxcUri, Failure> failures_;
  std::map<stores::UserNumber, Allowance> allowances_;
  std::map<std::string, size_t> running_of_server_;
  std::map<stores::UserNumber, size_t> running_of_user_;
  size_t running_ = 0;
  runtime::Signal slot_free_;
};

}  // namespace polder::remote_media
