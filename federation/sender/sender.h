// Sends events and ephemeral data to other servers: follows the stream of events, hands each local
// event to the queues of the servers that are in its room, and empties the queues by transactions,
// one at a time to each destination.
// https://spec.matrix.org/v1.19/server-server-api/#transactions
//
// What survives a crash: up to where the stream was handed out, which is the cursor of a follower
// of the log, and for each destination that has not got everything, from where on it must be read
// again. Both are written lazily and in one batch, so that after a crash events are at worst sent
// again; receivers know them by their ids.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "federation/sender/edus.h"
#include "federation/sender/outgoing.h"
#include "federation/transport/transport.h"
#include "homeserver/base/metrics/metrics.h"
#include "homeserver/base/runtime/runtime.h"
#include "homeserver/base/runtime/sync.h"
#include "homeserver/base/values/ids.h"
#include "storage/feed/follower.h"
#include "storage/kv/kv.h"

namespace polder::sender {

// All outlive the sender.
struct SenderParts {
  runtime::Runtime& runtime;
  kv::Database& database;
  kv::Committer& committer;
  feed::Followers& followers;
  stores::Names& names;
  stores::StateNodeCache& nodes;
  transport::Servers& servers;
  ServerName own_name;
};

// Gauges are of about a second ago.
struct SenderStats {
  std::atomic<uint64_t> destinations = 0;  // with something to send or to remember
  std::atomic<uint64_t> backed_off = 0;    // of these, left in peace for now
  std::atomic<uint64_t> behind = 0;        // whose events are to be read again
  std::atomic<uint64_t> queued_pdus = 0, queued_edus = 0;
  metrics::Counter pdus, edus;                                // delivered
  metrics::Counter delivered, refused, given_up, unanswered;  // transactions
};

// Lives on shard 0; what is public can be called on any shard. Outlives its tasks.
class Sender final : private feed::Consumer {
 public:
  explicit Sender(SenderParts parts);
  ~Sender() override;

  // Before start().
  void add_source(EduSource& source) { sources_.push_back(&source); }
  // Reads where it left off, and begins. Synchronous; once, before the runtime runs or on shard 0.
  Status start();

  // A source has something for these destinations.
  void wake(std::vector<ServerName> destinations);
  void send_short_lived(std::vector<ServerName> destinations, ShortLivedEdu edu);
  // The server sent something: if it was left in peace, here or by the transport, it is tried again
  // now.
  void heard_from(ServerName server);

  // Ends once all that was committed before stands in the queues of its destinations, which need
  // its rows no more: whoever erases them waits for that. Not so for a destination that is too far
  // behind, nor after a start: those read rows. Ends after half a minute in any case.
  Task<void> caught_up();
  const SenderStats& stats() const { return stats_; }

 private:
  struct Destination;
  struct Transaction;
  struct Unanswered;
  using DestinationPtr = std::shared_ptr<Destination>;

  // feed::Consumer
  Result<Work> read(const kv::Snapshot& snapshot, const feed::Page& stream) override;
  void save(kv::Batch& batch, bool all) override;

  Task<Status> hand_out(std::shared_ptr<const OutgoingPage> page);
  void measure();
  Task<void> wake_sources();

  Task<void> wake_here(std::vector<ServerName> destinations);
  Task<void> send_here(std::vector<ServerName> destinations, ShortLivedEdu edu);
  Task<void> heard_here(ServerName server);

  Destination& destination(const ServerName& name);
  void run_soon(Destination& destination);
  Task<void> run(DestinationPtr destination);
  Task<void> wait_for_turn(DestinationPtr destination);
  Task<Status> refill(DestinationPtr destination);
  Task<Transaction> build(DestinationPtr destination);
  Task<void> add_edus(DestinationPtr destination, std::optional<Unanswered> again, bool one_by_one,
                      Transaction& built);
  std::string id_of(const Destination& destination, const Transaction& built);
  Task<Status> fill(DestinationPtr destination, std::shared_ptr<Transaction> transaction,
                    transport::Call& call);
  // False if there was nothing to send.
  Task<bool> attempt(DestinationPtr destination);
  Task<void> failed(DestinationPtr destination, Transaction& transaction, Error error);
  void keep(Destination& destination, Transaction& transaction);
  Task<void> finished(DestinationPtr destination, Transaction& transaction);

  SenderParts parts_;
  OutgoingReader reader_;
  std::vector<EduSource*> sources_;
  std::string run_id_;  // of this process, for transaction ids
  uint64_t transactions_ = 0;

  SenderStats stats_;
  feed::Follower follower_;
  kv::Position handed_out_ = 0;     // nothing behind it is in a queue
  std::vector<EventId> forwarded_;  // whose rows are to be erased
  std::map<ServerName, DestinationPtr> destinations_;
};

}  // namespace polder::sender
