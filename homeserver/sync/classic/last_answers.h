// What clients were answered last, and who watches since for what they were not told: a request
// that goes on from there need not look for changes if nothing was touched meanwhile, and most do.
#pragma once

#include <atomic>
#include <list>
#include <map>
#include <memory>
#include <vector>

#include "homeserver/sync/classic/filter.h"
#include "homeserver/sync/classic/tokens.h"
#include "homeserver/sync/classic/waiters.h"

namespace polder::sync {

// Each shard has its own: a client that comes back on another one is looked up anew. Bounded: what
// was kept first goes.
class LastAnswers {
 public:
  explicit LastAnswers(size_t shards, size_t kept_max = kKeptMax);

  // An answer that told of everything up to `next`, as the filter has it. The waiter began before
  // that was looked up, and watches the client's rooms.
  struct Given {
    stores::UserNumber user = 0;
    DeviceId device{};
    StreamToken next;
    std::shared_ptr<const Filter> filter;
    std::unique_ptr<Waiters::Waiter> waiter;
  };
  void keep(size_t shard, Given given);
  // The waiter of the client's last answer, if it was that one and nothing was touched since: then
  // there is nothing to tell. Null otherwise. Whatever is known of the client is forgotten.
  std::unique_ptr<Waiters::Waiter> take(size_t shard, stores::UserNumber user,
                                        const DeviceId& device, const StreamToken& since,
                                        const std::shared_ptr<const Filter>& filter);

  // Of all shards. May be called on any thread.
  size_t kept() const { return kept_.load(std::memory_order_relaxed); }

 private:
  static constexpr size_t kKeptMax = 1024;
  using Client = std::pair<stores::UserNumber, DeviceId>;
  struct Shard {
    std::list<Given> given;  // oldest first
    std::map<Client, std::list<Given>::iterator> by_client;
  };
  void forget(Shard& shard, std::list<Given>::iterator given);

  const size_t kept_max_;
  std::vector<Shard> shards_;
  std::atomic<size_t> kept_ = 0;
};

}  // namespace polder::sync
