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

// False if the time passed, or the client went away, before anything was touched.
Task<bool> wait_with_client(runtime::Runtime& runtime, Waiters::Waiter& waiter,
                            const SyncRequest& request, std::chrono::nanoseconds deadline) {
  for (;;) {
    const auto left = std::chrono::duration_cast<Millis>(deadline - runtime.clock().steady());
    if (left <= Millis(0)) co_return false;
    // Also if that was just as the last wait ended: nobody waited for the signal then.
    if (waiter.touched()) co_return true;
    if (co_await waiter.wait_for(std::min(left, kClientLook))) co_return true;
    if (request.client_ended && request.client_ended()) co_return false;
  }
}

}  // namespace

// One request on its way. Of its tasks those that wait hold little: there are many of them.
struct Sync::Poll {
  // Looks, and waits until there is something to tell.
  static Task<Result<SyncResponse>> answer(Sync& sync, std::shared_ptr<const SyncRequest> request);
  Task<Result<std::unique_ptr<Answer>>> look(Sync& sync);

  std::shared_ptr<const SyncRequest> request;
  std::shared_ptr<SyncStats> stats;
  std::unique_ptr<Waiters::Waiter> waiter;
  Look next;
};

SyncResponse Sync::answer_with(Poll& poll, Answer answer) {
  runtime::Runtime& runtime = services_.rooms.runtime;
  // What did not fit, or is still being made, is looked for at the next request.
  const StreamToken& next = answer.next;
  if (!answer.more && next.to_device == next.position && next.owed_from == 0) {
    poll.waiter->watch(answer.joined);
    last_answers_.keep(runtime.current_shard(),
                       {poll.request->number, poll.request->device, answer.next,
                        poll.request->filter, std::move(poll.waiter)});
  }
  return response_of(runtime, std::move(answer), poll.stats);
}

Task<Result<std::unique_ptr<Answer>>> Sync::Poll::look(Sync& sync) {
  runtime::Runtime& runtime = sync.services_.rooms.runtime;
  waiter->begin();
  const auto begun = runtime.clock().steady();
  auto build = [services = &sync.services_, asked = request,
                what = next]() -> Result<std::unique_ptr<Answer>> {
    POLDER_TRY(Answer answer, build_response(*services, asked, what));
    return std::make_unique<Answer>(std::move(answer));
  };
  POLDER_CO_TRY(auto answer, co_await runtime::on_pool(runtime, std::move(build)));
  stats->looks.add();
  stats->time.observe(std::chrono::duration<double>(runtime.clock().steady() - begun).count());
  // From here, not from the pool: what is lazy waits for company on a shard only.
  if (!answer->acknowledged.empty())
    sync.services_.committer.enqueue(std::exchange(answer->acknowledged, {}), kv::Durability::kLazy,
                                     [](const Result<kv::Committed>&) {});
  // What was looked at, and was nothing for this client, is not looked at again.
  next.since = answer->next;
  next.first = false;
  co_return answer;
}

Task<Result<SyncResponse>> Sync::Poll::answer(Sync& sync,
                                              std::shared_ptr<const SyncRequest> request) {
  runtime::Runtime& runtime = sync.services_.rooms.runtime;
  const auto deadline = runtime.clock().steady() + request->timeout;
  Poll poll{std::move(request), {}, {}, {}};
  const SyncRequest& asked = *poll.request;
  if (!asked.since.empty()) {
    POLDER_CO_TRY(poll.next.since, parse_since(asked.since, sync.services_.committer.visible()));
  }
  poll.stats = poll.next.since ? sync.incremental_ : sync.initial_;
  const bool waits = poll.next.since && !asked.full_state;
  if (asked.filter->lazy_load_members) {
    poll.next.sent = sync.sent_members_.of(asked.number, asked.device,
                                           poll.next.since ? poll.next.since->position : 0);
  }
  poll.stats->requests.add();
  if (waits && asked.timeout > Millis(0)) {
    poll.waiter = sync.last_answers_.take(runtime.current_shard(), asked.number, asked.device,
                                          *poll.next.since, asked.filter);
  }
  bool over = false;  // the time has passed, or the client is gone: one more look, and no waiting
  if (poll.waiter) {
    over = !co_await wait_with_client(runtime, *poll.waiter, asked, deadline);
  } else {
    poll.waiter = std::make_unique<Waiters::Waiter>(sync.waiters_, asked.number);
  }
  for (;;) {
    POLDER_CO_TRY(auto answer, co_await poll.look(sync));
    if (!waits || !answer->empty) {
      // It may tell of what the user is just being answered.
      co_await sync.waiters_.own_answers().left(asked.number);
      co_return sync.answer_with(poll, std::move(*answer));
    }
    poll.waiter->watch(answer->joined);
    const bool woken = !over && co_await wait_with_client(runtime, *poll.waiter, asked, deadline);
    if (!woken) co_return sync.answer_with(poll, std::move(*answer));
  }
}

// No task itself: the request would stay in it.
Task<Result<SyncResponse>> Sync::run(SyncRequest request) {
  return Poll::answer(*this, std::make_shared<const SyncRequest>(std::move(request)));
}

}  // namespace polder::sync
