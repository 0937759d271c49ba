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
      waiters_(services.rooms.parts().runtime, services.rooms.parts().database,
               services.rooms.parts().committer) {
  services_.typing.on_change(
      [this](stores::RoomNumber room, Millis lasts) { typing_changed(room, lasts); });
}

void Sync::typing_changed(stores::RoomNumber room, Millis lasts) {
  waiters_.wake_room(room);
  if (lasts == Millis(0)) return;
  // Nobody says so when it ends by itself.
  services_.rooms.parts().runtime.after(lasts + Millis(1),
                                        [this, room] { waiters_.wake_room(room); });
}

Task<Result<SyncResponse>> Sync::run(SyncRequest request) {
  runtime::Runtime& runtime = services_.rooms.parts().runtime;
  kv::Committer& committer = services_.rooms.parts().committer;
  const auto deadline = runtime.clock().steady() + request.timeout;
  std::optional<StreamToken> since;
  if (!request.since.empty()) {
    POLDER_CO_TRY(since, parse_since(request.since, committer.visible()));
  }
  const bool waits = since && !request.full_state;
  Waiters::Waiter waiter(waiters_, request.number);
  Look look{.since = since};
  if (request.filter->lazy_load_members)
    look.sent = sent_members_.of(request.number, request.device, since ? since->position : 0);
  auto shared = std::make_shared<const SyncRequest>(std::move(request));
  const Services* services = &services_;
  const StatsPtr& stats = since ? incremental_ : initial_;
  stats->requests.add();
  for (;; look.first = false) {
    waiter.begin();
    const auto begun = runtime.clock().steady();
    POLDER_CO_TRY(Answer answer, co_await runtime::on_pool(runtime, [services, shared, look] {
                    return build_response(*services, shared, look);
                  }));
    stats->looks.add();
    stats->time.observe(std::chrono::duration<double>(runtime.clock().steady() - begun).count());
    // From here, not from the pool: what is lazy waits for company on a shard only.
    if (!answer.acknowledged.empty())
      committer.enqueue(std::exchange(answer.acknowledged, {}), kv::Durability::kLazy,
                        [](const Result<kv::Committed>&) {});
    if (!waits || !answer.empty) {
      // It may tell of what the user is just being answered.
      co_await waiters_.own_answers().left(shared->number);
      co_return response_of(runtime, std::move(answer), stats);
    }
    const auto left = std::chrono::duration_cast<Millis>(deadline - runtime.clock().steady());
    waiter.watch(std::exchange(answer.joined, {}));
    const bool woken = left > Millis(0) && (waiter.touched() || co_await waiter.wait_for(left));
    if (!woken) co_return response_of(runtime, std::move(answer), stats);
    // What was looked at, and was nothing for this client, is not looked at again.
    look.since = answer.next;
  }
}

}  // namespace polder::sync
