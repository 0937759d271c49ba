#include "storage/feed/follower.h"

#include <algorithm>
#include <boost/asio/post.hpp>

#include "storage/stores/base/cursor_rows.h"

namespace polder::feed {
namespace {

constexpr Millis kRetryFirst{1000};
constexpr Millis kRetryLongest{60'000};

kv::Batch erasures_of(const kv::Batch& batch) {
  kv::Batch erasures;
  for (const kv::Batch::Op& op : batch.ops()) {
    if (op.kind == kv::Batch::OpKind::kErase) erasures.erase(op.column, batch.key(op));
    if (op.kind == kv::Batch::OpKind::kEraseRange)
      erasures.erase_range(op.column, batch.key(op), batch.value(op));
  }
  return erasures;
}

}  // namespace

void Consumer::save(kv::Batch&, bool) {}

Task<Status> Consumer::take_checkpoint(kv::Position) {
  co_return fail(ErrorCode::kUnsupported, "it does not begin from a checkpoint");
}

Follower::Follower(Followers& followers, Options options, Consumer& consumer)
    : followers_(followers),
      runtime_(followers.runtime()),
      options_(std::move(options)),
      job_("follower " + options_.name),
      consumer_(consumer),
      wake_(runtime_),
      advanced_(runtime_) {
  followers.add(*this);
}

Status Follower::load() {
  const auto snapshot = followers_.database().snapshot();
  POLDER_TRY(const auto found, stores::read_cursor(*snapshot, options_.name));
  begins_ = !found && options_.start != Start::kBeginning;
  const base::Lock lock(mutex_);
  cursor_ = found.value_or(0);
  wanted_ = target_ = followers_.committer().visible();
  behind_since_ = target_at_ = runtime_.clock().steady();
  saved_at_ = target_at_;
  return {};
}

void Follower::start() {
  running_ = true;
  runtime::spawn(runtime_, runtime_.shard(options_.shard), job_, run());
}

// --- What others ask and tell, on their threads ---

kv::Position Follower::cursor() const {
  const base::Lock lock(mutex_);
  return cursor_;
}

bool Follower::level() const {
  const base::Lock lock(mutex_);
  return wanted_ <= cursor_;
}

Lag Follower::lag() const {
  const base::Lock lock(mutex_);
  if (wanted_ <= cursor_) return {};
  const kv::Position visible = std::max(followers_.committer().visible(), wanted_);
  return {visible - cursor_, runtime_.clock().steady() - behind_since_};
}

void Follower::committed(kv::Position visible) {
  {
    const base::Lock lock(mutex_);
    if (visible <= wanted_) return;
    if (wanted_ <= cursor_) behind_since_ = runtime_.clock().steady();
    wanted_ = visible;
    // While it is awake it looks by itself.
    if (!std::exchange(sleeping_, false)) return;
  }
  stats_.wakes.add();
  boost::asio::post(runtime_.shard(options_.shard), [this] { wake_.notify_all(); });
}

Task<bool> Follower::reached(kv::Position position, Millis limit) {
  return runtime::on_shard(runtime_, options_.shard,
                           [this, position, limit] { return reached_here(position, limit); });
}

// What is visible may not have been told of yet, so it is looked for in any case.
Task<bool> Follower::reached_here(kv::Position position, Millis limit) {
  committed(position);
  const auto end = runtime_.clock().steady() + limit;
  while (cursor() < position) {
    const auto now = runtime_.clock().steady();
    if (now >= end) co_return false;
    co_await advanced_.wait_for(std::chrono::ceil<Millis>(end - now));
  }
  co_return true;
}

void Follower::end_soon() {
  if (stopping_.exchange(true)) return;
  boost::asio::post(runtime_.shard(options_.shard), [this] { wake_.notify_all(); });
}

Task<bool> Follower::stop(Millis limit) {
  end_soon();
  return runtime::on_shard(runtime_, options_.shard, [this, limit] { return stop_here(limit); });
}

Task<bool> Follower::stop_here(Millis limit) {
  const auto end = runtime_.clock().steady() + limit;
  while (running_) {
    const auto now = runtime_.clock().steady();
    if (now >= end) co_return false;
    co_await advanced_.wait_for(std::chrono::ceil<Millis>(end - now));
  }
  co_return true;
}

// --- From page to page ---

Task<void> Follower::run() {
  while (!stopping_) {
    Status done;
    if (begins_) {
      done = co_await begin();
    } else if (!level()) {
      done = co_await advance();
    }
    if (done.ok() && save_is_due()) done = co_await save();
    if (!done.ok()) {
      co_await back_off(done.error());
      continue;
    }
    failures_ = 0;
    co_await wait_for_more();
  }
  // What is lost of this is handled once more.
  if (unsaved_ && !begins_) static_cast<void>(co_await save());
  running_ = false;
  advanced_.notify_all();
}

// From here on nothing is left out: the position stands on disk before anything behind it counts as
// handled.
Task<Status> Follower::begin() {
  const kv::Position position = followers_.committer().visible();
  if (options_.start == Start::kCheckpoint)
    POLDER_CO_CHECK(co_await consumer_.take_checkpoint(position));
  POLDER_CO_CHECK(co_await save_durably(rows_at(position, true)));
  begins_ = false;
  handled(position);
  co_return Status();
}

Task<Status> Follower::advance() {
  auto find = [this, from = cursor(), to = take_target()] { return read(from, to); };
  POLDER_CO_TRY(const Next next, co_await runtime::on_pool(runtime_, std::move(find)));
  if (next.work) POLDER_CO_CHECK(co_await next.work());
  stats_.pages.add();
  stats_.entries.add(next.entries);
  handled(next.to);
  co_return Status();
}

Result<Follower::Next> Follower::read(kv::Position from, kv::Position to) {
  const auto snapshot = followers_.database().snapshot();
  POLDER_TRY(const Page page,
             read_page(*snapshot, options_.streams, from, to, options_.entries_max));
  Next next{page.to, page.entries.size(), {}};
  if (!page.entries.empty()) {
    POLDER_TRY(next.work, consumer_.read(*snapshot, page));
  }
  return next;
}

kv::Position Follower::take_target() {
  const base::Lock lock(mutex_);
  sleeping_ = false;
  // Until the last one is reached, nothing is known of what came first behind it.
  if (cursor_ >= target_) {
    target_ = std::max(followers_.committer().visible(), wanted_);
    target_at_ = runtime_.clock().steady();
  }
  return target_;
}

void Follower::handled(kv::Position to) {
  {
    const base::Lock lock(mutex_);
    cursor_ = to;
    if (cursor_ >= target_) behind_since_ = target_at_;
  }
  unsaved_ = true;
  advanced_.notify_all();
}

// True if it is to be woken by the next commit that concerns it; false if there was one.
bool Follower::sleep() {
  const base::Lock lock(mutex_);
  sleeping_ = wanted_ <= cursor_;
  return sleeping_;
}

Task<void> Follower::wait_for_more() {
  if (stopping_ || !sleep()) co_return;
  Millis wait = Millis::max();
  if (unsaved_) {
    const auto due = saved_at_ + options_.save_every - runtime_.clock().steady();
    wait = std::max(std::chrono::ceil<Millis>(due), Millis(0));
  }
  co_await wake_.wait_for(wait);
}

// A second, and twice as long each time; not all who failed at once come back at once.
Task<void> Follower::back_off(Error error) {
  stats_.failures.add();
  runtime_.jobs().failed(job_, error, runtime_.clock().wall_ms());
  runtime_.log().error("follower_failed", {{"follower", options_.name}, {"reason", error.message}});
  const Millis longest = std::min(kRetryFirst * (1 << std::min(failures_++, 10)), kRetryLongest);
  const auto jitter = static_cast<uint64_t>(longest.count() / 2);
  const Millis wait = longest - Millis(static_cast<int64_t>(runtime_.random().below(jitter)));
  const auto end = runtime_.clock().steady() + wait;
  while (!stopping_) {
    const auto now = runtime_.clock().steady();
    if (now >= end) co_return;
    co_await wake_.wait_for(std::chrono::ceil<Millis>(end - now));
  }
}

// --- Where it is, on disk ---

void Follower::changed() {
  if (std::exchange(unsaved_, true)) return;
  wake_.notify_all();
}

bool Follower::save_is_due() const {
  if (!unsaved_ || begins_) return false;
  return options_.durability == kv::Durability::kDurable ||
         runtime_.clock().steady() - saved_at_ >= options_.save_every;
}

// What was to be erased is not saved again by a consumer, which has forgotten it: it is erased
// here, before the consumer adds what there is now.
kv::Batch Follower::rows_at(kv::Position position, bool all) {
  kv::Batch batch = std::exchange(unerased_, {});
  stores::put_cursor(batch, options_.name, position);
  consumer_.save(batch, all);
  return batch;
}

Task<Status> Follower::save() {
  kv::Batch batch = rows_at(cursor(), std::exchange(save_all_, false));
  unsaved_ = false;
  saved_at_ = runtime_.clock().steady();
  if (options_.durability == kv::Durability::kDurable)
    co_return co_await save_durably(std::move(batch));
  auto erasures = erasures_of(batch);
  followers_.committer().enqueue(
      std::move(batch), kv::Durability::kLazy,
      [this, erasures = std::move(erasures)](const Result<kv::Committed>& saved) {
        if (saved.ok()) return;
        save_all_ = true;
        unerased_.append(erasures);
        changed();
      });
  co_return Status();
}

Task<Status> Follower::save_durably(kv::Batch batch) {
  const kv::Batch erasures = erasures_of(batch);
  const auto saved = co_await followers_.committer().commit(std::move(batch));
  if (saved.ok()) co_return Status();
  save_all_ = unsaved_ = true;
  unerased_.append(erasures);
  co_return saved.error();
}

}  // namespace polder::feed
