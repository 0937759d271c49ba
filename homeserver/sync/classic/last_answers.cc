#include "homeserver/sync/classic/last_answers.h"

namespace polder::sync {

LastAnswers::LastAnswers(size_t shards, size_t kept_max) : kept_max_(kept_max), shards_(shards) {}

void LastAnswers::forget(Shard& shard, std::list<Given>::iterator given) {
  shard.by_client.erase({given->user, given->device});
  shard.given.erase(given);
  kept_.fetch_sub(1, std::memory_order_relaxed);
}

void LastAnswers::keep(size_t shard, Given given) {
  Shard& here = shards_.at(shard);
  const Client client{given.user, given.device};
  if (const auto before = here.by_client.find(client); before != here.by_client.end())
    forget(here, before->second);
  here.given.push_back(std::move(given));
  here.by_client.emplace(client, std::prev(here.given.end()));
  kept_.fetch_add(1, std::memory_order_relaxed);
  if (here.given.size() > kept_max_) forget(here, here.given.begin());
}

std::unique_ptr<Waiters::Waiter> LastAnswers::take(size_t shard, stores::UserNumber user,
                                                   const DeviceId& device, const StreamToken& since,
                                                   const std::shared_ptr<const Filter>& filter) {
  Shard& here = shards_.at(shard);
  const auto found = here.by_client.find({user, device});
  if (found == here.by_client.end()) return nullptr;
  const auto given = found->second;
  auto waiter = std::move(given->waiter);
  const bool same = given->next == since && given->filter == filter;
  forget(here, given);
  return same && !waiter->touched() ? std::move(waiter) : nullptr;
}

}  // namespace polder::sync
