#include "homeserver/sync/classic/sync.h"

#include "homeserver/sync/classic/response.h"
#include "homeserver/sync/classic/tokens.h"

namespace polder::sync {
namespace {

using More = std::function<Result<std::optional<std::string>>()>;

using StatsPtr = std::shared_ptr<SyncStats>;

Task<Result<std::optional<std::string>>> next_piece(runtime::Runtime& runtime, More more,
                                                    StatsPtr stats) {
  auto piece = co_await runtime::on_pool(runtime, std::move(more));
  if (piece.ok() && *piece) stats->bytes.add((*piece)->size());
  co_return piece;
}

SyncResponse response_of(runtime::Runtime& runtime, Answer answer, StatsPtr stats) {
  stats->bytes.add(answer.text.size());
  SyncResponse response{std::move(answer.text), {}};
  if (answer.more) {
    response.more = [&runtime, more = std::move(answer.more), stats = std::move(stats)] {
      return next_piece(runtime, more, stats);
    };
  }
  return response;
}

}  // namespace

Sync::Sync(Services services)
    : services_(services),
      waiters_(services.rooms.runtime, services.rooms.database, services.committer),
      last_answers_(services.rooms.runtime.shard_count()) {
  services_.typing.on_change(
      [this](stores::RoomNumber room, Millis lasts) { typing_changed(room, lasts); });
}

void Sync::typing_changed(stores::RoomNumber room, Millis lasts) {
  waiters_.wake_room(room);
  if (lasts == Millis(0)) return;
  // Nobody says so when it ends by itself.
  services_.rooms.runtime.after(lasts + Millis(1), [this, room] { waiters_.wake_room(room); });
}

namespace {

constexpr Millis kClientLook{10'000};  // whether it is still there

}  // namespace

// One request on its way. There are many that wait: beside this, they hold one small task.
class Sync::Poll {
 public:
  Poll(Sync& sync, SyncRequest request)
      : sync_(sync),
        runtime_(sync.services_.rooms.runtime),
        request_(std::make_shared<const SyncRequest>(std::move(request))),
        deadline_(runtime_.clock().steady() + request_->timeout) {}

  // Looks, and waits, until there is something to tell or the time is over.
  static Task<Result<SyncResponse>> answer(std::unique_ptr<Poll> poll) {
    poll->begin();
    while (!poll->response_) {
      const Millis wait = poll->may_wait();
      if (wait > Millis(0)) {
        poll->waited(co_await poll->waiter_->wait_for(wait));
      } else {
        co_await poll->look();
      }
    }
    co_return *std::move(poll->response_);
  }

 private:
  void begin();
  Millis may_wait();
  void waited(bool woken);
  Task<void> look();
  Task<Result<Answer>> build() const;
  void respond(Answer answer);

  Sync& sync_;
  runtime::Runtime& runtime_;
  const std::shared_ptr<const SyncRequest> request_;
  const std::chrono::nanoseconds deadline_;
  std::shared_ptr<SyncStats> stats_;
  std::unique_ptr<Waiters::Waiter> waiter_;
  Look next_;
  bool waits_ = false;       // if there is nothing to tell
  bool up_to_date_ = false;  // there was nothing to tell, and nothing was touched since
  bool over_ = false;        // the client is gone, or the time has passed: one more look
  std::optional<Result<SyncResponse>> response_;
};

void Sync::Poll::begin() {
  if (!request_->since.empty()) {
    auto since = parse_since(request_->since, sync_.services_.committer.visible());
    if (!since.ok()) {
      response_ = since.error();
      return;
    }
    next_.since = *since;
  }
  stats_ = next_.since ? sync_.incremental_ : sync_.initial_;
  waits_ = next_.since && !request_->full_state;
  if (request_->filter->lazy_load_members) {
    next_.sent = sync_.sent_members_.of(request_->number, request_->device,
                                        next_.since ? next_.since->position : 0);
  }
  stats_->requests.add();
  if (waits_ && request_->timeout > Millis(0)) {
    waiter_ = sync_.last_answers_.take(runtime_.current_shard(), request_->number, request_->device,
                                       *next_.since, request_->filter);
  }
  up_to_date_ = waiter_ != nullptr;
  if (!waiter_) waiter_ = std::make_unique<Waiters::Waiter>(sync_.waiters_, request_->number);
}

// Until it is time to look; zero: now.
Millis Sync::Poll::may_wait() {
  // Also if that was just as the last wait ended: nobody waited for the signal then.
  if (waiter_->touched()) up_to_date_ = false;
  const auto left = std::chrono::ceil<Millis>(deadline_ - runtime_.clock().steady());
  if (left <= Millis(0)) over_ = true;
  return up_to_date_ && !over_ ? std::min(left, kClientLook) : Millis(0);
}

void Sync::Poll::waited(bool woken) {
  if (woken) up_to_date_ = false;
  if (!woken && request_->client_ended && request_->client_ended()) over_ = true;
}

Task<Result<Answer>> Sync::Poll::build() const {
  return runtime::on_pool(runtime_, [services = &sync_.services_, asked = request_, what = next_] {
    return build_response(*services, asked, what);
  });
}

Task<void> Sync::Poll::look() {
  waiter_->begin();
  const auto begun = runtime_.clock().steady();
  auto answer = co_await build();
  if (!answer.ok()) {
    response_ = answer.error();
    co_return;
  }
  stats_->looks.add();
  stats_->time.observe(std::chrono::duration<double>(runtime_.clock().steady() - begun).count());
  // From here, not from the pool: what is lazy waits for company on a shard only.
  if (!answer->acknowledged.empty())
    sync_.services_.committer.enqueue(std::exchange(answer->acknowledged, {}),
                                      kv::Durability::kLazy, [](const Result<kv::Committed>&) {});
  // What was looked at, and was nothing for this client, is not looked at again.
  next_.since = answer->next;
  next_.first = false;
  if (waits_ && answer->empty && !over_) {
    waiter_->watch(answer->joined);
    up_to_date_ = true;
    co_return;
  }
  // It may tell of what the user is just being answered.
  if (!answer->empty) co_await sync_.waiters_.own_answers().left(request_->number);
  respond(*std::move(answer));
}

void Sync::Poll::respond(Answer answer) {
  const StreamToken& next = answer.next;
  // What did not fit, or is still being made, is looked for at the next request.
  if (!answer.more && next.to_device == next.position && next.owed_from == 0) {
    waiter_->watch(answer.joined);
    sync_.last_answers_.keep(runtime_.current_shard(), {request_->number, request_->device, next,
                                                        request_->filter, std::move(waiter_)});
  }
  response_ = response_of(runtime_, std::move(answer), stats_);
}

// No task itself: the request would stay in it.
Task<Result<SyncResponse>> Sync::run(SyncRequest request) {
  return Poll::answer(std::make_unique<Poll>(*this, std::move(request)));
}

}  // namespace polder::sync
