#include "storage/feed/followers.h"

#include "storage/feed/follower.h"

namespace polder::feed {

Followers::Followers(runtime::Runtime& runtime, kv::Database& database, kv::Committer& committer)
    : runtime_(runtime), database_(database), committer_(committer) {
  committer.on_committed([this](std::span<const kv::Batch* const> batches) { committed(batches); });
}

void Followers::add(Follower& follower) {
  followers_.push_back(&follower);
  followed_ |= follower.options().streams.bits();
}

// On the committer's thread: a look at the batches' keys, and at those whose streams they add to.
void Followers::committed(std::span<const kv::Batch* const> batches) {
  uint32_t streams = 0;
  for (const kv::Batch* batch : batches) {
    streams |= streams_in(*batch) & followed_;
    if (streams == followed_) break;
  }
  if (streams == 0) return;
  const kv::Position visible = committer_.visible();
  for (Follower* follower : followers_) {
    if ((follower->options().streams.bits() & streams) != 0) follower->committed(visible);
  }
}

Task<bool> Followers::stop(Millis limit) {
  // All are told before any is waited for.
  for (Follower* follower : followers_)
    follower->end_soon();
  const auto end = runtime_.clock().steady() + limit;
  bool all = true;
  for (Follower* follower : followers_) {
    const auto left = std::max(end - runtime_.clock().steady(), std::chrono::nanoseconds(0));
    const bool ended = co_await follower->stop(std::chrono::ceil<Millis>(left));
    all = all && ended;
  }
  co_return all;
}

void Followers::probe(metrics::Sink& sink) const {
  for (const Follower* follower : followers_) {
    const metrics::Labels labels = {{"follower", follower->options().name}};
    const Lag lag = follower->lag();
    const FollowerStats& stats = follower->stats();
    sink.gauge("polder_follower_lag_positions",
               "How many positions there are that a follower of the log has not handled.", labels,
               static_cast<double>(lag.positions));
    sink.gauge("polder_follower_lag_seconds",
               "For how long at most what a follower has not handled has been waiting.", labels,
               std::chrono::duration<double>(lag.time).count());
    sink.counter("polder_follower_entries_total", "Entries of the log that a follower handled.",
                 labels, static_cast<double>(stats.entries.value()));
    sink.counter("polder_follower_failures_total", "Pages of the log that a follower tried again.",
                 labels, static_cast<double>(stats.failures.value()));
  }
}

}  // namespace polder::feed
