// Who enters a room has their answer before their devices hear of it by /sync: clients that learn
// of a room both ways at once take it for one that was synced before they entered it.
#pragma once

#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "homeserver/base/runtime/runtime.h"
#include "homeserver/base/values/mutex.h"
#include "storage/stores/base/names.h"

namespace polder::sync {

// For how long an answer that does not leave, because nobody reads it, holds up polls.
inline constexpr Millis kOwnAnswerLongest{1000};

// Thread-safe. Outlives the runtime's tasks.
class OwnAnswers {
 public:
  explicit OwnAnswers(runtime::Runtime& runtime) : runtime_(runtime) {}
  OwnAnswers(const OwnAnswers&) = delete;
  OwnAnswers& operator=(const OwnAnswers&) = delete;

  // Around a request of the user that may change where they are: until its answer has been handed
  // to the socket, or never will be.
  void begin(stores::UserNumber user);
  void end(stores::UserNumber user);

  // Of a user who has come to another place: calls it when none of their requests is under way, at
  // once if none is, and after kOwnAnswerLongest in any case. From any thread, on any.
  void when_left(stores::UserNumber user, std::function<void()> call);
  // Waits for what when_left() waits for; not at all if nothing does. On a shard.
  Task<void> left(stores::UserNumber user);

 private:
  using Waiting = std::shared_ptr<const std::function<void()>>;
  struct OfUser {
    size_t under_way = 0;
    std::vector<Waiting> waiting;
  };

  // False if there is nothing to wait for.
  bool add(stores::UserNumber user, const Waiting& call, bool only_with_others);
  // Whether it still waited.
  bool take(stores::UserNumber user, const Waiting& call);

  runtime::Runtime& runtime_;
  base::Mutex mutex_;
  std::unordered_map<stores::UserNumber, OfUser> users_ GUARDED_BY(mutex_);
};

}  // namespace polder::sync
