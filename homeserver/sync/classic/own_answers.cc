#include "homeserver/sync/classic/own_answers.h"

#include <boost/asio/post.hpp>

#include "homeserver/base/runtime/sync.h"

namespace polder::sync {
namespace {

constexpr size_t kTimersShard = 0;

}  // namespace

void OwnAnswers::begin(stores::UserNumber user) {
  const base::Lock lock(mutex_);
  ++users_[user].under_way;
}

void OwnAnswers::end(stores::UserNumber user) {
  std::vector<Waiting> waiting;
  {
    const base::Lock lock(mutex_);
    const auto found = users_.find(user);
    if (found == users_.end() || --found->second.under_way > 0) return;
    waiting = std::move(found->second.waiting);
    users_.erase(found);
  }
  for (const Waiting& call : waiting)
    (*call)();
}

bool OwnAnswers::add(stores::UserNumber user, const Waiting& call, bool only_with_others) {
  const base::Lock lock(mutex_);
  const auto found = users_.find(user);
  if (found == users_.end()) return false;
  if (only_with_others && found->second.waiting.empty()) return false;
  found->second.waiting.push_back(call);
  return true;
}

bool OwnAnswers::take(stores::UserNumber user, const Waiting& call) {
  const base::Lock lock(mutex_);
  const auto found = users_.find(user);
  return found != users_.end() && std::erase(found->second.waiting, call) > 0;
}

void OwnAnswers::when_left(stores::UserNumber user, std::function<void()> call) {
  const auto shared = std::make_shared<const std::function<void()>>(std::move(call));
  if (!add(user, shared, false)) return (*shared)();
  boost::asio::post(runtime_.shard(kTimersShard), [this, user, shared] {
    runtime_.after(kOwnAnswerLongest, [this, user, shared] {
      if (take(user, shared)) (*shared)();
    });
  });
}

Task<void> OwnAnswers::left(stores::UserNumber user) {
  const auto signal = std::make_shared<runtime::Signal>(runtime_);
  const size_t shard = runtime_.current_shard();
  const auto wake = std::make_shared<const std::function<void()>>([this, signal, shard] {
    boost::asio::post(runtime_.shard(shard), [signal] { signal->notify_all(); });
  });
  if (!add(user, wake, true)) co_return;
  co_await signal->wait_for(kOwnAnswerLongest);
  take(user, wake);
}

}  // namespace polder::sync
