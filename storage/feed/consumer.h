// What a follower of the log is for: whoever reacts to what was committed.
#pragma once

#include <functional>

#include "homeserver/base/runtime/task.h"
#include "storage/feed/page.h"

namespace polder::feed {

// Called by one follower, and for one page at a time.
class Consumer {
 public:
  virtual ~Consumer() = default;

  // What is to be done about a page. On the lane of reads: reads there whatever the entries refer
  // to. What it returns runs on the follower's shard; once it has ended well, the page is handled.
  // After a failure of either, or a crash, the page comes again, perhaps with more behind it.
  using Work = std::function<Task<Status>()>;
  virtual Result<Work> read(const kv::Snapshot& snapshot, const Page& page) = 0;

  // Adds the rows without which the cursor must not be on disk: they are in its batch. On the
  // follower's shard. `all`: a batch before this one was lost, so that what was added before has to
  // be added again; what it was to erase is erased without this one's doing.
  virtual void save(kv::Batch& batch, bool all);

  // For one that begins with Start::kCheckpoint: takes in what there is up to the position, from
  // the database as it stands. On the follower's shard; after a failure or a crash it comes again,
  // with a later position.
  virtual Task<Status> take_checkpoint(kv::Position position);
};

}  // namespace polder::feed
