#include "federation/sender/sender.h"

#include "homeserver/base/crypto/hash.h"
#include "homeserver/base/json/write.h"
#include "homeserver/base/values/bytes.h"
#include "storage/stores/base/cursor_rows.h"
#include "storage/stores/federation/federation_rows.h"

namespace polder::sender {
namespace {

constexpr size_t kQueueMax = 500;  // events in memory for one destination; more are read again
constexpr size_t kEdusAtOnce = wire::kEdusMax;
constexpr Millis kAfterFailure{1000};  // of the disk
constexpr Millis kCatchUpMax{30'000};
constexpr Millis kTransactionTimeout{90'000};
constexpr Millis kLineMax{600'000};  // waiting for a place to send from
constexpr Millis kBusy{5'000};       // before another try to get one
constexpr size_t kAnswerMax = 1 << 20;
constexpr Millis kRefusedFirst{10'000};
constexpr Millis kRefusedLongest{3'600'000};

}  // namespace

// What a transaction that was not answered was made of: until it is answered it comes again as it
// was, under its id.
struct Sender::Unanswered {
  size_t pdus = 0;
  std::optional<std::vector<size_t>> edus;  // of each source; unknown after a start
  std::string id;
};

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
  bool again = false;                        // something came while it ran
  std::optional<stores::Backlog> persisted;  // what its row says
  std::optional<Unanswered> unanswered;
  size_t pdus_max = wire::kPdusMax;
  int refusals = 0;                           // in a row
  std::chrono::nanoseconds refused_until{0};  // by its refusals alone
  std::chrono::nanoseconds not_before{0};     // earlier if it was heard from since
  runtime::Signal woken;
};

struct Sender::Transaction {
  std::string id;
  std::vector<std::string> pdus;
  std::vector<wire::Edu> edus;
  std::vector<std::pair<EduSource*, uint64_t>> tokens;
  std::vector<size_t> of_source;
  std::vector<EduQueue::Entry> short_lived;
  bool unread = false;  // there may be more: a source could not be read
  bool empty() const { return pdus.empty() && edus.empty(); }
};

Sender::Sender(SenderParts parts)
    : parts_(std::move(parts)),
      reader_(parts_.database, parts_.names, parts_.nodes, parts_.own_name),
      follower_(
          parts_.followers,
          {.name = std::string(stores::kFederationFollower), .streams = {feed::Stream::kEvents}},
          *this) {}

Sender::~Sender() = default;

Status Sender::start() {
  run_id_ = std::to_string(parts_.runtime.clock().wall_ms()) + parts_.runtime.random().letters(8);
  POLDER_CHECK(follower_.load());
  handed_out_ = follower_.cursor();
  const auto snapshot = parts_.database.snapshot();
  POLDER_TRY(forwarded_, stores::read_forwards(*snapshot));
  POLDER_TRY(const auto backlogs, stores::read_backlogs(*snapshot));
  for (const auto& [name, backlog] : backlogs) {
    Destination& behind = destination(name);
    behind.behind = true;
    behind.read_to = backlog.delivered;
    behind.persisted = backlog;
    if (backlog.unanswered > 0)
      behind.unanswered = Unanswered{.pdus = backlog.unanswered, .edus = {}, .id = {}};
    run_soon(behind);
  }
  follower_.start();
  runtime::spawn(parts_.runtime, parts_.runtime.shard(0), "federation sources", wake_sources());
  return {};
}

// --- From the stream into the queues ---

Result<Sender::Work> Sender::read(const kv::Snapshot& snapshot, const feed::Page& stream) {
  POLDER_TRY(auto outgoing, reader_.read(snapshot, stream));
  if (outgoing.damaged > 0)
    parts_.runtime.log().error("federation cannot read events", {{"events", outgoing.damaged}});
  auto page = std::make_shared<const OutgoingPage>(std::move(outgoing));
  return Work([this, page = std::move(page)] { return hand_out(page); });
}

Task<Status> Sender::hand_out(std::shared_ptr<const OutgoingPage> page) {
  for (const OutgoingEvent& event : page->events) {
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
  handed_out_ = page->read_to;
  co_return Status();
}

Task<void> Sender::caught_up() {
  static_cast<void>(co_await follower_.reached(parts_.committer.visible(), kCatchUpMax));
}

// In one batch with the cursor: a place in the stream that is ahead of its destinations would lose
// events.
void Sender::save(kv::Batch& batch, bool all) {
  bool any_waits = false;
  for (auto& [name, to] : destinations_) {
    std::optional<stores::Backlog> backlog;
    if (!to->queue.empty() || to->behind)
      backlog = stores::Backlog{to->delivered(), to->unanswered ? to->unanswered->pdus : 0};
    any_waits = any_waits || backlog;
    if (backlog == to->persisted && !all) continue;
    if (backlog) {
      stores::put_backlog(batch, name, *backlog);
    } else {
      stores::erase_backlog(batch, name);
    }
    to->persisted = backlog;
  }
  // Whoever has not got everything may read the stream once more, after a start at the latest, and
  // then looks the forwarded events up again.
  if (!any_waits && follower_.level()) {
    for (const EventId& event : std::exchange(forwarded_, {}))
      stores::erase_forward(batch, event);
  }
  std::erase_if(destinations_, [](const auto& to) { return to.second->idle(); });
  measure();
}

void Sender::measure() {
  const auto now = parts_.runtime.clock().steady();
  uint64_t backed_off = 0, behind = 0, pdus = 0, edus = 0;
  for (const auto& [name, to] : destinations_) {
    backed_off += to->not_before > now || parts_.servers.back_off(name) > Millis(0) ? 1 : 0;
    behind += to->behind ? 1 : 0;
    pdus += to->queue.size();
    edus += to->edus.size();
  }
  stats_.destinations = destinations_.size();
  stats_.backed_off = backed_off;
  stats_.behind = behind;
  stats_.queued_pdus = pdus;
  stats_.queued_edus = edus;
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
    if (!co_await attempt(to) && !to->again && !to->behind) break;
  }
  to->running = false;
  // What is saved next says that it has got everything, and forgets it.
  follower_.changed();
}

// Until the destination may be asked.
Task<void> Sender::wait_for_turn(DestinationPtr to) {
  for (;;) {
    const auto now = parts_.runtime.clock().steady();
    const Millis refused =
        to->not_before > now ? std::chrono::ceil<Millis>(to->not_before - now) : Millis(0);
    const Millis wait = std::max(parts_.servers.back_off(to->name), refused);
    if (wait <= Millis(0)) co_return;
    co_await to->woken.wait_for(wait);
  }
}

Task<Status> Sender::refill(DestinationPtr to) {
  auto read = [this, from = to->read_to, end = handed_out_] { return reader_.read(from, end); };
  POLDER_CO_TRY(const OutgoingPage page,
                co_await runtime::on_pool(parts_.runtime, std::move(read)));
  for (const OutgoingEvent& event : page.events) {
    if (event.destinations.contains(to->name)) to->queue.push_back({event.position, event.pdu});
  }
  to->read_to = page.read_to;
  // Nothing was handed out to it meanwhile, so it is level only if it has read all of it.
  if (to->read_to >= handed_out_) to->behind = false;
  follower_.changed();
  co_return Status();
}

// Messages to devices first: they carry the keys to the events, and must not wait for a backlog.
Task<Sender::Transaction> Sender::build(DestinationPtr to) {
  Transaction built;
  const std::optional<Unanswered> again = to->unanswered;
  const bool one_by_one = to->pdus_max == 1;
  const size_t pdus_max = again && again->pdus > 0 ? again->pdus : to->pdus_max;
  const bool has_pdus = !again || again->pdus > 0;
  for (size_t i = 0; has_pdus && i < to->queue.size() && i < pdus_max; ++i)
    built.pdus.push_back(*to->queue[i].pdu);
  built.of_source.resize(sources_.size());
  if (!one_by_one || built.pdus.empty()) co_await add_edus(to, again, one_by_one, built);
  built.id = id_of(*to, built);
  co_return built;
}

Task<void> Sender::add_edus(DestinationPtr to, std::optional<Unanswered> again, bool one_by_one,
                            Transaction& built) {
  const size_t edus_max = one_by_one ? 1 : kEdusAtOnce;
  for (size_t i = 0; i < sources_.size(); ++i) {
    const size_t left = edus_max - std::min(edus_max, built.edus.size());
    const size_t limit = again && again->edus ? std::min(left, again->edus->at(i)) : left;
    if (limit == 0) continue;
    auto pending = co_await sources_[i]->next(to->name, limit);
    if (!pending.ok()) {
      parts_.runtime.log().error("federation cannot read what waits",
                                 {{"server", to->name}, {"error", pending.error().message}});
      built.unread = true;
      continue;
    }
    if (pending->edus.empty()) continue;
    built.tokens.emplace_back(sources_[i], pending->token);
    built.of_source[i] = pending->edus.size();
    for (wire::Edu& edu : pending->edus)
      built.edus.push_back(std::move(edu));
  }
  const auto now = parts_.runtime.clock().steady();
  built.short_lived = to->edus.take(edus_max - std::min(edus_max, built.edus.size()), now,
                                    again ? again->id : std::string());
  for (const EduQueue::Entry& entry : built.short_lived)
    built.edus.push_back(entry.edu);
}

// Of what lasts, so that a transaction that was not answered has the same after a start; what has
// nothing that lasts never comes again.
std::string Sender::id_of(const Destination& to, const Transaction& built) {
  std::string lasting;
  const auto add = [&](std::string_view part) {
    lasting.append(std::to_string(part.size())).append(" ").append(part);
  };
  add(to.name.view());
  for (const std::string& pdu : built.pdus)
    add(pdu);
  const size_t count = built.edus.size() - built.short_lived.size();
  for (size_t i = 0; i < count; ++i) {
    add(built.edus[i].type);
    add(json::write(built.edus[i].content));
  }
  for (const auto& [source, token] : built.tokens)
    add(std::to_string(token));
  if (built.pdus.empty() && count == 0) return run_id_ + "_" + std::to_string(++transactions_);
  return base::base64_encode(crypto::sha256(lasting), base::Base64::kUrlSafe);
}

// Once there is a place for it, so that those who wait for one hold nothing. kMissing if there is
// nothing to send.
Task<Status> Sender::fill(DestinationPtr to, std::shared_ptr<Transaction> transaction,
                          transport::Call& call) {
  if (to->queue.empty() && to->behind) {
    const Status read = co_await refill(to);
    if (!read.ok()) co_await runtime::sleep_for(parts_.runtime, kAfterFailure);
  }
  *transaction = co_await build(to);
  // What was not answered may be gone; there may be other things all the same.
  if (transaction->empty() && !transaction->unread && to->unanswered) {
    to->unanswered.reset();
    *transaction = co_await build(to);
  }
  if (transaction->empty()) co_return fail(ErrorCode::kMissing, "there is nothing to send");
  call.path = transport::path_of("/_matrix/federation/v1/send", {transaction->id});
  call.body = wire::write_transaction(
      {parts_.own_name, parts_.runtime.clock().wall_ms(), transaction->pdus, transaction->edus});
  co_return Status();
}

// https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv1sendtxnid
Task<bool> Sender::attempt(DestinationPtr to) {
  const auto transaction = std::make_shared<Transaction>();
  transport::Call call;
  call.method = http::Method::kPut;
  call.timeout = kTransactionTimeout;
  call.body_max = kAnswerMax;
  call.demand.cause = egress::Cause::kSender;
  call.demand.line_max = kLineMax;
  call.tell_if_busy = true;
  call.prepare = [this, to, transaction](transport::Call& filled) {
    return fill(to, transaction, filled);
  };
  const auto answer = co_await parts_.servers.request(to->name, std::move(call));
  if (!answer.ok() && answer.error().code == ErrorCode::kMissing && transaction->empty()) {
    // It is not idle if that is all that is known of what waits for it.
    if (transaction->unread) to->not_before = parts_.runtime.clock().steady() + kAfterFailure;
    co_return transaction->unread;
  }
  // An answer that cannot be read is one all the same: it tells nothing that would matter here.
  if (answer.ok() || answer.error().code == ErrorCode::kMalformed) {
    to->refusals = 0;
    to->refused_until = {};
    to->pdus_max = std::min(to->pdus_max * 2, wire::kPdusMax);
    stats_.delivered.add();
    stats_.pdus.add(transaction->pdus.size());
    stats_.edus.add(transaction->edus.size());
    co_await finished(to, *transaction);
  } else {
    co_await failed(to, *transaction, answer.error());
  }
  co_return true;
}

Task<void> Sender::failed(DestinationPtr to, Transaction& transaction, Error error) {
  const bool sent = !transaction.empty();
  const bool refused =
      sent && (error.code == ErrorCode::kInvalid || error.code == ErrorCode::kTooLarge);
  if (refused && transaction.pdus.size() + transaction.edus.size() == 1) {
    parts_.runtime.log().warning("federation gives up what a server refuses",
                                 {{"server", to->name}, {"error", error.message}});
    stats_.given_up.add();
    co_await finished(to, transaction);
    co_return;
  }
  if (refused) {
    stats_.refused.add();
    to->unanswered.reset();
    to->edus.put_back(std::move(transaction.short_lived));
    to->pdus_max = 1;  // so that what it refuses does not hold up the rest
    co_return;
  }
  if (sent) stats_.unanswered.add();
  if (sent) keep(*to, transaction);
  // From a server that does not answer the transport keeps away by itself.
  if (parts_.servers.back_off(to->name) > Millis(0)) co_return;
  const auto now = parts_.runtime.clock().steady();
  if (!sent && error.code == ErrorCode::kRateLimited) {
    to->not_before = now + kBusy;
    co_return;
  }
  // How often it was heard from, and asked early for that, says nothing of how long it refuses.
  if (now >= to->refused_until) {
    to->refusals = std::min(to->refusals + 1, 20);
    to->refused_until = now + std::min(kRefusedFirst * (1 << (to->refusals - 1)), kRefusedLongest);
  }
  to->not_before = to->refused_until;
}

// For the next try. What is short-lived may have ended by then, or been replaced.
void Sender::keep(Destination& to, Transaction& transaction) {
  const bool lasts = !transaction.pdus.empty() || !transaction.tokens.empty();
  for (EduQueue::Entry& entry : transaction.short_lived)
    entry.sent_in = lasts ? transaction.id : std::string();
  to.edus.put_back(std::move(transaction.short_lived));
  to.unanswered.reset();
  if (lasts) {
    to.unanswered = Unanswered{.pdus = transaction.pdus.size(),
                               .edus = std::move(transaction.of_source),
                               .id = transaction.id};
  }
  follower_.changed();
}

Task<void> Sender::finished(DestinationPtr to, Transaction& transaction) {
  to->unanswered.reset();
  to->queue.erase(to->queue.begin(),
                  to->queue.begin() + static_cast<ptrdiff_t>(transaction.pdus.size()));
  follower_.changed();
  for (const auto& [source, token] : transaction.tokens)
    co_await source->delivered(to->name, token);
}

}  // namespace polder::sender
