// What changes rooms: events of local users and of other servers, new rooms, rooms that this server
// enters. Everything is staged in the room's turn (rooms/turns).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "homeserver/base/crypto/keys.h"
#include "homeserver/base/runtime/runtime.h"
#include "homeserver/base/values/ids.h"
#include "homeserver/protocol/events/event.h"
#include "homeserver/protocol/policy/act.h"
#include "homeserver/protocol/policy/facts.h"
#include "homeserver/rooms/model/ports.h"
#include "homeserver/rooms/turns/rooms.h"
#include "homeserver/rooms/write/entering.h"
#include "homeserver/rooms/write/local_event.h"
#include "homeserver/rooms/write/received_state.h"
#include "homeserver/rooms/write/stage.h"
#include "storage/kv/kv.h"
#include "storage/stores/rooms/state_map.h"

namespace polder::rooms {

// What became of an event from another server.
struct Received {
  Verdict verdict = Verdict::kAccepted;
  std::string refusal;
  bool known = false;  // it was here already
};

// About events that an event needs and whose signatures cannot be checked now: their signers' keys
// cannot be had.
enum class Uncheckable : uint8_t {
  kWait,  // what needs them is not taken
  kDrop,  // as if they were badly signed: some servers are gone for good
};

// What verify_all() found.
struct VerifiedEvents {
  std::vector<events::EventPtr> good;
  std::optional<Error> undecided;  // of an event that may be good; kUnavailable, kTimeout
};

// A state that was received from another server, verified.
struct ImportedState {
  std::vector<events::EventPtr> state;
  std::vector<events::EventPtr> auth_chain;
  std::optional<stores::PartialOrigin> partial = {};  // if that is not all
  ReceivedStatePtr rest = {};  // with partial: what was received and is still to be verified
};

class Audit;
struct Decided;
struct SignersKeys;
std::shared_ptr<SignersKeys> make_signers_keys();  // of nobody yet

// Where an event's state before it, and what else it lacks, is asked for.
struct FetchFrom {
  ServerName server;
  Uncheckable uncheckable = Uncheckable::kWait;
};

// Who completes states that are known in part (rooms/upkeep). On the room's shard.
class PartialStates {
 public:
  virtual ~PartialStates() = default;
  // What is still to be verified of the state that came with an event.
  virtual void keep_rest(RoomNumber room, EventNumber event, ReceivedStatePtr rest) = 0;
  virtual void complete_later(RoomNumber room) = 0;
};

// What writing needs besides the rooms; all outlive it.
struct WriterParts {
  const crypto::SigningKey& signing_key;
  KeySource& keys;
  RemoteServers& remote;
  StepSizes steps = {};
};

class RoomWriter {
 public:
  // The rooms outlive it.
  RoomWriter(Rooms& rooms, WriterParts parts);
  ~RoomWriter();
  RoomWriter(const RoomWriter&) = delete;
  RoomWriter& operator=(const RoomWriter&) = delete;

  // Both before the first change.
  void add_contributor(Contributor& contributor);
  void set_partial_states(PartialStates& states) { partial_states_ = &states; }

  Rooms& rooms() const { return rooms_; }
  const RoomSource& source() const { return rooms_.source(); }
  const StageContext& stage_context() const { return context_; }
  const StepSizes& steps() const { return steps_; }
  const crypto::SigningKey& signing_key() const { return signing_key_; }
  const Audit& audit() const { return *audit_; }
  EnteringRooms& entering() { return entering_; }

  // --- Changes. Callable on any shard. ---

  // Builds, authorises, signs and stores an event on the room's edge. kForbidden if a rule of the
  // room or the policy refuses, and alike if the sender is not in the room, the room is not here or
  // does not exist; for what needs no membership (join, knock, leave) the latter two are kNotFound.
  // kTooLarge, kInvalid (also if the rules let nobody send it), and what else the policy says.
  Task<Result<SentEvent>> send(RoomId room, LocalEvent event);

  // A new room of a local user: its create event and what follows, each built on the one before;
  // answered when all are on disk. The first must be m.room.create. Nothing is left of the room, on
  // disk or in memory, if one of them is refused. Errors are those of send().
  Task<Result<RoomId>> create(const events::RoomVersionRules& rules,
                              std::vector<LocalEvent> events);

  // An event of a local user, built, authorised and signed on the room's edge but not stored, for
  // another server to sign too; and storing it once it did. The second fails with kForbidden if the
  // room has changed meanwhile so that it refuses the event. The caller has verified that the event
  // is the prepared one and well signed. Errors are those of send().
  Task<Result<events::EventPtr>> prepare(RoomId room, LocalEvent event);
  Task<Result<SentEvent>> store_prepared(events::EventPtr event);

  // The unsigned template of an event of another server's user, built on the room's edge: for
  // make_join and its kin. Not stored, not signed.
  Task<Result<json::Object>> make_template(RoomId room, LocalEvent event);

  // An event from another server, format-checked. Verifies hash and signatures, fetches what it
  // refers to and is missing, and stores it with its verdict. An error means that the event was not
  // stored; after one that is_temporary() it may be taken later.
  Task<Result<Received>> receive(ServerName origin, events::EventPtr event,
                                 Uncheckable uncheckable = Uncheckable::kWait);

  // A room that this server enters: its state before the joining event as the resident server gave
  // it, and the event. Everything has been verified. If the state is known in part only, the room
  // is usable all the same, and the rest is asked for in the background (PartialStates).
  Task<Result<SentEvent>> enter(const events::RoomVersionRules& rules, ImportedState state,
                                events::EventPtr join);

  // A membership of a local user in a room that this server is not in: an invite, a knock, or the
  // leave or ban that ends one of these. The event was verified; the room knows nothing of it, and
  // is not known for it: only the user is told. Of stripped_state, which comes with invites and
  // knocks, is kept what has the form of stripped state; the event itself is added to it. Forgotten
  // again when this server enters the room. kExists if this server is in the room (the event comes
  // to it as every other does); kNotFound if there is nothing that a leave or ban could end; both
  // change nothing. A membership that is known gives the position that it has.
  Task<Result<SentEvent>> store_outside_membership(const events::RoomVersionRules& rules,
                                                   events::EventPtr event,
                                                   json::Array stripped_state);

  // Whether the policy permits an act of a local user that is no event of a room here: in a room
  // that other servers are asked for, or outside of rooms. Its refusal is on record; that only a
  // privilege permits it, too, before this returns. The facts are what is known besides the user's
  // account.
  Task<Status> permit_act(policy::Act act, policy::Actor actor, UserId user,
                          policy::Facts facts = {});

  // The same within a turn, or what else is one change: what only a privilege permits is on record
  // in its batch. Reads the account of the actor, if a local user is named.
  Status permit_with(const kv::Snapshot& snapshot, policy::Act act, const policy::Actor& actor,
                     kv::Batch& batch) const;

  // The same of whom all facts are known. What only a privilege permits is on record in the batch,
  // if there is one.
  Status permit_known(const policy::Act& act, const policy::Actor& actor,
                      const policy::Facts& facts, kv::Batch* batch = nullptr);

  // A user who left a room, or was banned, does not want to see it any more, until they enter it
  // again. kNotFound if they never were in it, kExists if they are in it.
  Task<Status> forget(RoomId room, UserId user);

  // Asks a server for events before the oldest known ones and stores what it gives.
  Task<Result<size_t>> backfill(ServerName server, RoomId room, std::vector<EventId> from,
                                size_t limit);
  // Asks servers of the room, those with most members first, for up to `limit` events before the
  // given ones, until one gives any. Gives how many are new here; none if nobody could help.
  Task<size_t> fill_gap(RoomHeadPtr head, std::vector<EventId> before, size_t limit);

  // Verifies the signatures and the hash of an event: steps 2 and 3 of the checks on receipt. Gives
  // the redacted event if its hash does not match.
  Task<Result<events::EventPtr>> verify(events::EventPtr event);
  // Whether the event carries a good signature of that server; kBadSignature, or why its key is not
  // known.
  Task<Status> verify_signature(events::EventPtr event, ServerName server);
  // Of PDUs that should be events of the room, those that are and pass verify(), in their order and
  // each once; the rest is logged and dropped. Many at once: on the pool, and keys are waited for
  // together, for a limited time. Who goes through a list in parts keeps the keys between them.
  Task<VerifiedEvents> verify_all(std::vector<std::string> pdus,
                                  const events::RoomVersionRules& rules, RoomId room,
                                  std::shared_ptr<SignersKeys> keys = nullptr);
  // Sorts what was received of a room's state: nothing of it is verified.
  Task<ReceivedStatePtr> sort(RemoteState state, const events::RoomVersionRules& rules,
                              RoomId room);

  // --- States of other servers. On the room's shard. ---

  // The state before an event whose prev events are not known, as a server has it.
  Task<Result<stores::StateRoot>> fetch_state_before(FetchFrom from, events::EventPtr event,
                                                     RoomNumber number);
  // Verifies and stores the rest of a state, and makes it a state of the room.
  Task<Result<stores::StateRoot>> store_received(RoomNumber number, ReceivedStatePtr state,
                                                 Uncheckable uncheckable);

 private:
  Result<events::EventDraft> draft(const Room& room, RoomView& view, const LocalEvent& event) const;
  Result<events::EventPtr> sign(const events::EventDraft& draft,
                                const events::RoomVersionRules& rules) const;
  // What the policy permits; its refusal as an error, which is then on record.
  Result<Decided> permit(const Room& room, const RoomView& view, const events::Event& event,
                         const policy::Actor& actor) const;
  Status permitted(const Decided& decided) const;
  Result<Staged> build_and_stage(Room& room, const kv::Snapshot& snapshot,
                                 const LocalEvent& event) const;
  Result<std::vector<Staged>> stage_new_room(Room& room, events::EventPtr create,
                                             const std::vector<LocalEvent>& events) const;
  Result<std::optional<EventId>> answer_before(const Room& room, const kv::Snapshot& snapshot,
                                               const LocalEvent& event) const;
  Rooms::Step step_of(LocalEvent event, std::shared_ptr<std::optional<EventId>> answered) const;
  Task<Result<SentEvent>> send_on_shard(RoomNumber number, LocalEvent event);
  // What to make of an event that was built on the room's edge, in the room's turn; on the pool.
  template <class T>
  using Finish =
      std::function<Result<T>(const Room&, const kv::Snapshot&, const events::EventDraft&)>;
  template <class T>
  Task<Result<T>> draft_in_room(RoomId room, LocalEvent event, Finish<T> finish);
  template <class T>
  Task<Result<T>> draft_on_shard(RoomNumber number, LocalEvent event, Finish<T> finish);
  Status check_create(const events::Event& create) const;
  Task<Result<RoomNumber>> new_room_number(RoomId id);
  Task<Result<RoomId>> create_on_shard(RoomNumber number, RoomId id,
                                       const events::RoomVersionRules& rules,
                                       events::EventPtr create, std::vector<LocalEvent> events);
  Task<Result<std::shared_ptr<Enqueued>>> create_in_turn(Room& room, RoomId id,
                                                         const events::RoomVersionRules& rules,
                                                         events::EventPtr create,
                                                         std::vector<LocalEvent> events);
  Task<Status> open_room(RoomNumber number, RoomId id, const events::RoomVersionRules& rules);
  Task<Result<SentEvent>> enter_on_shard(RoomNumber number, const events::RoomVersionRules& rules,
                                         ImportedState state, events::EventPtr join);
  Task<Result<SentEvent>> enter_opened(RoomNumber number, ImportedState state,
                                       events::EventPtr join);

  Task<Result<SentEvent>> store_outside_on_shard(RoomNumber number, events::EventPtr event,
                                                 std::string stripped_state);

  Task<Status> forget_on_shard(RoomNumber number, UserId user);

  Task<Result<Received>> receive_on_shard(FetchFrom from, events::EventPtr event,
                                          RoomNumber number);
  Task<Result<Received>> receive_connected(FetchFrom from, events::EventPtr event,
                                           RoomNumber number, std::string built_on_by);
  Task<Status> fetch_missing(FetchFrom from, events::EventPtr event, RoomNumber number);
  Task<Status> fetch_auth_events(FetchFrom from, events::EventPtr event, RoomNumber number);
  // The PDUs of missing events of a state that the server has.
  Task<Result<RemoteState>> fetch_state_events(ServerName server, events::EventPtr event,
                                               std::vector<EventId> missing);
  Task<Result<stores::StateRoot>> store_state(RoomNumber number, ImportedState state);
  Task<Result<stores::StateRoot>> store_state_of(RoomNumber number, std::vector<EventId> state);
  Task<Status> store_received_events(RoomNumber number, ReceivedStatePtr state,
                                     Uncheckable uncheckable);
  // What follows from an event of another server (after_receipt.cc).
  Task<Status> look_again_below(RoomNumber number, EventNumber accepted);
  void join_extremities_later(Room& room);
  Task<void> join_extremities(RoomNumber number);

  Task<Status> store_outliers(RoomNumber number, std::vector<events::EventPtr> events);
  // Which of the events are not here; outliers count as here only if asked for.
  Task<Result<std::vector<EventId>>> unknown(RoomNumber number, std::vector<EventId> ids,
                                             bool outliers_count);
  enum class Picked : uint8_t { kKnown, kUnknown };
  Task<Result<std::vector<EventId>>> pick(RoomNumber number, std::vector<EventId> ids, Picked which,
                                          size_t max);
  // kExists if the event is there, and not as an outlier.
  Status require_new(const Room& room, const kv::Snapshot& snapshot, const EventId& id) const;
  Task<Result<size_t>> backfill_on_shard(ServerName server, RoomNumber number,
                                         std::vector<EventId> from, size_t limit);

  Rooms& rooms_;
  const RoomParts& parts_;  // of the rooms
  const crypto::SigningKey& signing_key_;
  KeySource& keys_;
  RemoteServers& remote_;
  const StepSizes steps_;
  Caches& caches_;
  EnteringRooms entering_;
  std::vector<Contributor*> contributors_;
  const push_rules::RuleSet default_push_rules_;
  StageContext context_;
  std::unique_ptr<Audit> audit_;
  PartialStates* partial_states_ = nullptr;
};

}  // namespace polder::rooms
