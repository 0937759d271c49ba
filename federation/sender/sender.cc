#include "federation/sender/sender.h"

#include "storage/stores/federation_rows.h"

namespace polder::sender {
namespace {

constexpr size_t kQueueMax = 500;    // events in memory for one destination; more are read again
constexpr size_t kSendingMax = 200;  // transactions under way at once
constexpr size_t kEdusAtOnce = wire::kEdusMax;
constexpr Millis kPersistEvery{1000};
constexpr Millis kAfterFailure{1000};  // of the disk
constexpr Millis kCatchUpMax{30'000};
constexpr Millis kTransactionTimeout{90'000};
constexpr size_t kAnswerMax = 1 << 20;
constexpr Millis kRefusedFirst{10'000};
constexpr Millis kRefusedLongest{3'600'000};

}  // namespace

struct Sender::Destination {
  struct Queued {
    kv::Position position = 0;
    std::shared_ptr<const std::string> pdu;
  };
  Destination(ServerName server, runtime::Runtime& runtime)
      : name(std::move(server)), woken(runtime) {}

  bool idle() const {
    return queue.empty() && !behind && edus.empty() && !running && !persisted && refusals == 0;
  }
  // Up to where it has got everything.
  kv::Position delivered() const { return queue.empty() ? read_to : queue.front().position - 1; }

  const ServerName name;
  std::deque<Queued> queue;
  bool behind = false;       // events after read_to are in the stream only
  kv::Position read_to = 0;  // while behind
  EduQueue edus;
  bool running = false;
  bool again = false;                     // something came while it ran
  std::optional<kv::Position> persisted;  // what its row says
  size_t pdus_max = wire::kPdusMax;
  int refusals = 0;                           // in a row
  std::chrono::nanoseconds refused_until{0};  // by its refusals alone
  std::chrono::nanoseconds not_before{0};     // earlier if it was heard from since
  runtime::Signal woken;
};

struct Sender::Transaction {
  std::vector<std::string> pdus;
  std::vector<wire::Edu> edus;
  std::vector<std::pair<EduSource*, uint64_t>> tokens;
  std::vector<EduQueue::Entry> short_lived;
  bool empty() const { return pdus.empty() && edus.empty(); }
};

Sender::Sender(SenderParts parts)
    : parts_(std::move(parts)),
      reader_(parts_.database, parts_.names, parts_.nodes, parts_.own_name),
      wake_(parts_.runtime),
      handed_out_(parts_.runtime),
      slot_free_(parts_.runtime) {}

Sender::~Sender() = default;

Status Sender::start() {
  run_id_ = std::to_string(parts_.runtime.clock().wall_ms()) + parts_.runtime.random().letters(8);
  const auto snapshot = parts_.database.snapshot();
  POLDER_TRY(dispatched_, stores::read_dispatched(*snapshot));
  POLDER_TRY(forwarded_, stores::read_forwards(*snapshot));
  POLDER_TRY(const auto backlogs, stores::read_backlogs(*snapshot));
  for (const auto& [name, delivered] : backlogs) {
    Destination& behind = destination(name);
    behind.behind = true;
    behind.read_to = delivered;
    behind.persisted = delivered;
    run_soon(behind);
  }
  runtime::spawn(parts_.runtime, parts_.runtime.shard(0), "federation sender", pump());
  runtime::spawn(parts_.runtime, parts_.runtime.shard(0), "federation sources", wake_sources());
  return {};
}

void Sender::committed(const rooms::StoredEvent&, rooms::Verdict,
                       const std::vector<rooms::StateChange>&) {
  if (notified_.exchange(true)) return;
  runtime::spawn(parts_.runtime, parts_.runtime.shard(0), "federation wake", notify());
}

Task<void> Sender::notify() {
  notified_ = false;
  wake_.notify_all();
  co_return;
}

// --- From the stream into the queues ---

Task<void> Sender::pump() {
  auto persisted = parts_.runtime.clock().steady();
  for (;;) {
    const Status done = co_await dispatch();
    if (!done.ok()) {
      parts_.runtime.log().error("federation cannot read the stream",
                                 {{"error", done.error().message}});
      co_await runtime::sleep_for(parts_.runtime, kAfterFailure);
    }
    const auto now = parts_.runtime.clock().steady();
    if (dirty_ && now - persisted >= kPersistEvery) {
      persist();
      persisted = now;
    }
    if (dispatched_ < parts_.committer.visible()) continue;
    co_await wake_.wait_for(dirty_ ? kPersistEvery : Millis::max());
  }
}

Task<Status> Sender::dispatch() {
  const kv::Position to = parts_.committer.visible();
  while (dispatched_ < to) {
    auto read = [this, from = dispatched_, to] { return reader_.read(from, to); };
    POLDER_CO_TRY(const OutgoingPage page,
                  co_await runtime::on_pool(parts_.runtime, std::move(read)));
    hand_out(page);
  }
  co_return Status();
}

void Sender::hand_out(const OutgoingPage& page) {
  if (page.damaged > 0)
    parts_.runtime.log().error("federation cannot read events", {{"events", page.damaged}});
  for (const OutgoingEvent& event : page.events) {
    for (const ServerName& name : event.destinations) {
      Destination& to = destination(name);
      if (to.behind) continue;  // it will read the stream itself
      if (to.queue.size() >= kQueueMax) {
        to.behind = true;
        to.read_to = to.queue.back().position;
        continue;
      }
      to.queue.push_back({event.position, event.pdu});
      run_soon(to);
    }
    if (event.forwarded) forwarded_.push_back(*event.forwarded);
  }
  dispatched_ = page.read_to;
  dirty_ = true;
  handed_out_.notify_all();
}

Task<void> Sender::caught_up() {
  const kv::Position to = parts_.committer.visible();
  co_await runtime::on_shard(parts_.runtime, 0, [this, to] { return dispatched_up_to(to); });
}

Task<void> Sender::dispatched_up_to(kv::Position position) {
  const auto end = parts_.runtime.clock().steady() + kCatchUpMax;
  while (dispatched_ < position) {
    const auto now = parts_.runtime.clock().steady();
    if (now >= end) co_return;
    co_await handed_out_.wait_for(std::chrono::ceil<Millis>(end - now));
  }
}

// All of it in one batch: a place in the stream that is ahead of its destinations would lose
// events.
void Sender::persist() {
  kv::Batch batch;
  stores::put_dispatched(batch, dispatched_);
  bool any_waits = false;
  for (auto& [name, to] : destinations_) {
    std::optional<kv::Position> delivered;
    if (!to->queue.empty() || to->behind) delivered = to->delivered();
    any_waits = any_waits || delivered;
    if (delivered == to->persisted) continue;
    if (delivered) {
      stores::put_backlog(batch, name, *delivered);
    } else {
      stores::erase_backlog(batch, name);
    }
    to->persisted = delivered;
  }
  // Whoever has not got everything may read the stream once more, after a start at the latest, and
  // then looks the forwarded events up again.
  if (!any_waits && dispatched_ >= parts_.committer.visible()) {
    for (const EventId& event : std::exchange(forwarded_, {}))
      stores::erase_forward(batch, event);
  }
  std::erase_if(destinations_, [](const auto& to) { return to.second->idle(); });
  dirty_ = false;
  parts_.committer.enqueue(std::move(batch), kv::Durability::kLazy, [](const auto&) {});
}

// --- What others tell ---

Task<void> Sender::wake_sources() {
  for (EduSource* source : sources_) {
    std::vector<ServerName> waiting = co_await source->waiting();
    co_await wake_here(std::move(waiting));
  }
}

void Sender::wake(std::vector<ServerName> destinations) {
  runtime::spawn(parts_.runtime, parts_.runtime.shard(0), "federation wake",
                 wake_here(std::move(destinations)));
}
void Sender::send_short_lived(std::vector<ServerName> destinations, ShortLivedEdu edu) {
  runtime::spawn(parts_.runtime, parts_.runtime.shard(0), "federation edu",
                 send_here(std::move(destinations), std::move(edu)));
}
void Sender::heard_from(ServerName server) {
  runtime::spawn(parts_.runtime, parts_.runtime.shard(0), "federation heard",
                 heard_here(std::move(server)));
}

Task<void> Sender::wake_here(std::vector<ServerName> destinations) {
  for (const ServerName& name : destinations) {
    if (name != parts_.own_name) run_soon(destination(name));
  }
  co_return;
}

Task<void> Sender::send_here(std::vector<ServerName> destinations, ShortLivedEdu edu) {
  for (const ServerName& name : destinations) {
    if (name == parts_.own_name) continue;
    Destination& to = destination(name);
    to.edus.push(edu, parts_.runtime.clock().steady());
    run_soon(to);
  }
  co_return;
}

Task<void> Sender::heard_here(ServerName server) {
  parts_.servers.heard_from(server);
  const auto found = destinations_.find(server);
  if (found == destinations_.end()) co_return;
  found->second->not_before = {};
  found->second->woken.notify_all();
}

// --- From a queue to its destination ---

Sender::Destination& Sender::destination(const ServerName& name) {
  DestinationPtr& to = destinations_[name];
  if (!to) to = std::make_shared<Destination>(name, parts_.runtime);
  return *to;
}

void Sender::run_soon(Destination& to) {
  to.again = true;
  if (std::exchange(to.running, true)) return;
  runtime::spawn(parts_.runtime, parts_.runtime.shard(0), "federation destination",
                 run(destinations_.at(to.name)));
}

Task<void> Sender::run(DestinationPtr to) {
  for (;;) {
    to->again = false;
    co_await wait_for_turn(to);
    if (to->queue.empty() && to->behind) {
      const Status read = co_await refill(to);
      if (!read.ok()) co_await runtime::sleep_for(parts_.runtime, kAfterFailure);
    }
    Transaction transaction = co_await build(to);
    if (!transaction.empty()) {
      co_await attempt(to, std::move(transaction));
    } else if (!to->again && !to->behind) {
      break;
    }
    --sending_;
    slot_free_.notify_all();
  }
  --sending_;
  slot_free_.notify_all();
  to->running = false;
  // The pump writes down that it has got everything, and forgets it.
  dirty_ = true;
  wake_.notify_all();
}

// Until the destination may be asked, and not too many others are.
Task<void> Sender::wait_for_turn(DestinationPtr to) {
  for (;;) {
    const auto now = parts_.runtime.clock().steady();
    const Millis refused =
        to->not_before > now ? std::chrono::ceil<Millis>(to->not_before - now) : Millis(0);
    const Millis wait = std::max(parts_.servers.back_off(to->name), refused);
    if (wait > Millis(0)) {
      co_await to->woken.wait_for(wait);
    } else if (sending_ >= kSendingMax) {
      co_await slot_free_.wait();
    } else {
      break;
    }
  }
  ++sending_;
}

Task<Status> Sender::refill(DestinationPtr to) {
  auto read = [this, from = to->read_to, end = dispatched_] { return reader_.read(from, end); };
  POLDER_CO_TRY(const OutgoingPage page,
                co_await runtime::on_pool(parts_.runtime, std::move(read)));
  for (const OutgoingEvent& event : page.events) {
    if (event.destinations.contains(to->name)) to->queue.push_back({event.position, event.pdu});
  }
  to->read_to = page.read_to;
  // Nothing was handed out to it meanwhile, so it is level only if it has read all of it.
  if (to->read_to >= dispatched_) to->behind = false;
  dirty_ = true;
  co_return Status();
}

// Messages to devices first: they carry the keys to the events, and must not wait for a backlog.
Task<Sender::Transaction> Sender::build(DestinationPtr to) {
  Transaction built;
  const bool one_by_one = to->pdus_max == 1;
  for (size_t i = 0; i < to->queue.size() && i < to->pdus_max; ++i)
    built.pdus.push_back(*to->queue[i].pdu);
  if (one_by_one && !built.pdus.empty()) co_return built;
  const size_t edus_max = one_by_one ? 1 : kEdusAtOnce;
  for (EduSource* source : sources_) {
    if (built.edus.size() >= edus_max) break;
    auto pending = co_await source->next(to->name, edus_max - built.edus.size());
    if (!pending.ok()) {
      parts_.runtime.log().error("federation cannot read what waits",
                                 {{"server", to->name}, {"error", pending.error().message}});
      continue;
    }
    if (pending->edus.empty()) continue;
    built.tokens.emplace_back(source, pending->token);
    for (wire::Edu& edu : pending->edus)
      built.edus.push_back(std::move(edu));
  }
  const auto now = parts_.runtime.clock().steady();
  built.short_lived = to->edus.take(edus_max - std::min(edus_max, built.edus.size()), now);
  for (const EduQueue::Entry& entry : built.short_lived)
    built.edus.push_back(entry.edu);
  co_return built;
}

// https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv1sendtxnid
Task<void> Sender::attempt(DestinationPtr to, Transaction transaction) {
  transport::Call call;
  call.method = http::Method::kPut;
  call.path = transport::path_of("/_matrix/federation/v1/send",
                                 {run_id_ + "_" + std::to_string(++transactions_)});
  call.body = wire::write_transaction(
      {parts_.own_name, parts_.runtime.clock().wall_ms(), transaction.pdus, transaction.edus});
  call.timeout = kTransactionTimeout;
  call.body_max = kAnswerMax;
  const auto answer = co_await parts_.servers.request(to->name, std::move(call));
  // An answer that cannot be read is one all the same: it tells nothing that would matter here.
  const bool delivered = answer.ok() || answer.error().code == ErrorCode::kMalformed;
  if (delivered) {
    to->refusals = 0;
    to->refused_until = {};
    to->pdus_max = std::min(to->pdus_max * 2, wire::kPdusMax);
    co_await finished(to, std::move(transaction));
    co_return;
  }
  const ErrorCode code = answer.error().code;
  const bool refused = code == ErrorCode::kInvalid || code == ErrorCode::kTooLarge;
  if (refused && transaction.pdus.size() + transaction.edus.size() == 1) {
    parts_.runtime.log().warning("federation gives up what a server refuses",
                                 {{"server", to->name}, {"error", answer.error().message}});
    co_await finished(to, std::move(transaction));
    co_return;
  }
  to->edus.put_back(std::move(transaction.short_lived));
  if (refused) {
    to->pdus_max = 1;  // so that what it refuses does not hold up the rest
    co_return;
  }
  // From a server that does not answer the transport keeps away by itself.
  if (parts_.servers.back_off(to->name) > Millis(0)) co_return;
  // How often it was heard from, and asked early for that, says nothing of how long it refuses.
  const auto now = parts_.runtime.clock().steady();
  if (now >= to->refused_until) {
    to->refusals = std::min(to->refusals + 1, 20);
    to->refused_until = now + std::min(kRefusedFirst * (1 << (to->refusals - 1)), kRefusedLongest);
  }
  to->not_before = to->refused_until;
}

Task<void> Sender::finished(DestinationPtr to, Transaction transaction) {
  to->queue.erase(to->queue.begin(),
                  to->queue.begin() + static_cast<ptrdiff_t>(transaction.pdus.size()));
  dirty_ = true;
  for (const auto& [source, token] : transaction.tokens)
    co_await source->delivered(to->name, token);
}

}  // namespace polder::sender
