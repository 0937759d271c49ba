// Events of local users: built on the room's edge, permitted, signed and stored in one turn.
#include <algorithm>

#include "homeserver/base/json/write.h"
#include "homeserver/protocol/dag/auth_events.h"
#include "homeserver/protocol/events/signing.h"
#include "homeserver/rooms/model/refusals.h"
#include "homeserver/rooms/turns/enqueued.h"
#include "homeserver/rooms/write/consequences.h"
#include "homeserver/rooms/write/extremities.h"
#include "homeserver/rooms/write/permission.h"
#include "homeserver/rooms/write/relation_checks.h"
#include "homeserver/rooms/write/writer.h"
#include "storage/stores/users/user_rows.h"

namespace polder::rooms {
namespace {

void put_answer(kv::Batch& batch, const Transaction& transaction, const EventId& event) {
  stores::put_transaction(batch, transaction.user, transaction.device, transaction.path,
                          transaction.id, event.view());
  stores::put_event_transaction(batch, transaction.user, transaction.device, event, transaction.id);
}

Result<std::optional<EventId>> read_answer(const kv::Snapshot& snapshot,
                                           const Transaction& transaction,
                                           const std::string& path) {
  POLDER_TRY(auto known, stores::read_transaction(snapshot, transaction.user, transaction.device,
                                                  path, transaction.id));
  return known ? std::optional(EventId::trusted(*std::move(known))) : std::optional<EventId>();
}

// Rows once named the verb and the room only. What was sent says whether it was the same request:
// clients repeat theirs when a newer program has started.
Result<std::optional<EventId>> read_former_answer(const RoomView& view, const Room& room,
                                                  const LocalEvent& event) {
  const std::string& path = event.transaction->path;
  const std::string former = path.substr(0, path.find('|')) + "|" + room.record.id.str();
  POLDER_TRY(auto known, read_answer(view.snapshot(), *event.transaction, former));
  if (!known) return known;
  POLDER_TRY(const auto number, view.find(*known));
  if (!number) return std::optional<EventId>();
  POLDER_TRY(const HeldEvent sent, view.load(*number));
  const bool same = sent.event->is(event.type) && sent.event->redacts() == event.redacts;
  return same ? known : std::optional<EventId>();
}

// Of a room that is not here. Whoever enters or leaves it may do so through another server.
Error not_here(const LocalEvent& event) {
  policy::EventShape shape{.sender = event.sender.view(), .type = event.type};
  if (event.state_key) shape.state_key = *event.state_key;
  const std::string* membership = event.content.find_string("membership");
  if (membership != nullptr) shape.membership = *membership;
  const policy::Act act = policy::act_of({}, shape);
  return is_own_entry_or_exit(act.point) ? fail(ErrorCode::kNotFound, "no such room here")
                                         : not_in_room();
}

Status require_joined(const Room& room, const RoomView& view, const UserId& user) {
  POLDER_TRY(const auto member, view.state_event(room.record.edge(), "m.room.member", user.view()));
  return member && member->membership() == "join" ? Status() : Status(not_in_room());
}

}  // namespace

Result<events::EventDraft> RoomWriter::draft(const Room& room, RoomView& view,
                                             const LocalEvent& event) const {
  // Old room versions let others' events be longer.
  const bool too_long = event.type.size() > events::kMaxKeyBytes ||
                        (event.state_key && event.state_key->size() > events::kMaxKeyBytes);
  if (too_long) return fail(ErrorCode::kTooLarge, "type or state_key is longer than 255 bytes");
  // Likewise their numbers: https://spec.matrix.org/v1.19/appendices/#canonical-json
  if (!json::is_canonical(event.content))
    return fail(ErrorCode::kInvalid, "M_BAD_JSON", "numbers must be integers within 53 bits");
  POLDER_CHECK(check_consequences(room, view, event, parts_.own_name));
  events::EventDraft draft;
  draft.room_id = room.record.id;
  draft.sender = event.sender;
  draft.type = event.type;
  draft.state_key = event.state_key;
  draft.content = event.content;
  draft.redacts = event.redacts;
  draft.depth = std::min(room.record.max_depth + 1, json::kMaxCanonicalInt);
  draft.origin_server_ts = event.origin_server_ts.value_or(parts_.runtime.clock().wall_ms());
  POLDER_TRY(const auto edge,
             extremities_to_build_on(view, parts_.own_name, room.record.extremities));
  for (const EventNumber number : edge) {
    POLDER_TRY(const HeldEvent held, view.load(number));
    draft.prev_events.push_back(held.event->id());
  }
  std::optional<std::string_view> state_key;
  if (event.state_key) state_key = *event.state_key;
  for (const dag::StateKey& key : dag::auth_types_for(*room.rules, event.type, event.sender.view(),
                                                      state_key, event.content)) {
    POLDER_TRY(const auto auth, view.state_event(room.record.edge(), key.type, key.key));
    if (auth) draft.auth_events.push_back(auth->id());
  }
  return draft;
}

Result<events::EventPtr> RoomWriter::sign(const events::EventDraft& draft,
                                          const events::RoomVersionRules& rules) const {
  std::string chosen;
  if (rules.event_ids == events::EventIdFormat::kServerGiven)
    chosen = parts_.runtime.random().letters(18);
  json::Object pdu = events::make_pdu(draft, rules, chosen);
  events::hash_and_sign(pdu, rules, parts_.own_name, signing_key_);
  return events::Event::parse(std::move(pdu), rules);
}

Result<Decided> RoomWriter::permit(const Room& room, const RoomView& view,
                                   const events::Event& event, const policy::Actor& actor) const {
  POLDER_TRY(Decided decided, decide(view, room.record.edge(), parts_.own_name, event, actor));
  POLDER_CHECK(permitted(decided));
  return decided;
}

Status RoomWriter::permitted(const Decided& decided) const {
  const policy::Refusal* refusal = policy::refusal_of(decided.decision);
  if (refusal == nullptr) return {};
  audit_->add_refused(decided);
  return to_error(*refusal);
}

Task<Status> RoomWriter::permit_act(policy::Act act, policy::Actor actor, UserId user,
                                    policy::Facts facts) {
  RoomWriter* self = this;
  POLDER_CO_TRY(const Decided decided,
                co_await runtime::on_pool(
                    parts_.runtime, runtime::Lane::kShort, [self, act, actor, user, facts] {
                      const RoomParts& parts = self->parts_;
                      return decide_outside(parts.names, *parts.database.snapshot(), parts.own_name,
                                            act, actor, user, facts);
                    }));
  POLDER_CO_CHECK(permitted(decided));
  kv::Batch batch;
  audit_->add_permitted(decided, "", batch);
  if (!batch.empty()) POLDER_CO_CHECK(co_await parts_.committer.commit(std::move(batch)));
  co_return Status();
}

Status RoomWriter::permit_with(const kv::Snapshot& snapshot, policy::Act act,
                               const policy::Actor& actor, kv::Batch& batch) const {
  const UserId user = UserId::parse(policy::name_of(actor)).value_or(UserId());
  POLDER_TRY(const Decided decided, decide_outside(parts_.names, snapshot, parts_.own_name,
                                                   std::move(act), actor, user, {}));
  POLDER_CHECK(permitted(decided));
  audit_->add_permitted(decided, "", batch);
  return {};
}

Status RoomWriter::permit_known(const policy::Act& act, const policy::Actor& actor,
                                const policy::Facts& facts, kv::Batch* batch) {
  const Decided decided{act, actor, policy::decide(act, actor, facts)};
  POLDER_CHECK(permitted(decided));
  if (batch != nullptr) audit_->add_permitted(decided, "", *batch);
  return {};
}

Result<Staged> RoomWriter::build_and_stage(Room& room, const kv::Snapshot& snapshot,
                                           const LocalEvent& event) const {
  StageInput input;
  input.origin = Origin::kLocal;
  RoomView view(room, snapshot, parts_.names, caches_);
  if (event.while_joined) POLDER_CHECK(require_joined(room, view, event.sender));
  POLDER_TRY(const events::EventDraft built, draft(room, view, event));
  POLDER_TRY(input.event, sign(built, *room.rules));
  POLDER_TRY(const Decided decided, permit(room, view, *input.event, event.actor));
  POLDER_CHECK(check_relation(view, room, *input.event));
  POLDER_TRY(Staged staged, stage(context_, room, snapshot, std::move(input)));
  const events::Event& staged_event = *staged.stored.event;
  audit_->add_permitted(decided, staged_event.id().str(), staged.batch);
  if (event.transaction) put_answer(staged.batch, *event.transaction, staged_event.id());
  if (event.with) event.with(staged.batch, staged_event);
  return staged;
}

Task<Result<SentEvent>> RoomWriter::send_on_shard(RoomNumber number, LocalEvent event) {
  Room& room = rooms_.room_at(number);
  const std::optional<Transaction> transaction = event.transaction;
  auto answered = std::make_shared<std::optional<EventId>>();
  std::shared_ptr<Enqueued> enqueued;
  {
    const auto turn = co_await room.queue.turn();
    POLDER_CO_CHECK(co_await rooms_.begin_turn(room));
    const auto same = transaction ? room.transactions.find(*transaction) : room.transactions.end();
    if (same != room.transactions.end()) {
      enqueued = same->second;  // it is under way: this one is answered with it
    } else {
      auto staged = co_await rooms_.stage_and_enqueue(room, step_of(std::move(event), answered));
      if (*answered) co_return SentEvent{**answered};
      if (!staged.ok()) co_return std::move(staged).error();
      enqueued = *std::move(staged);
      if (transaction && !enqueued->done) {
        enqueued->transaction = transaction;
        room.transactions.emplace(*transaction, enqueued);
      }
    }
  }
  while (!enqueued->done)
    co_await enqueued->signal.wait();
  if (enqueued->failure) co_return *enqueued->failure;
  co_return enqueued->sent;
}

Result<std::optional<EventId>> RoomWriter::answer_before(const Room& room,
                                                         const kv::Snapshot& snapshot,
                                                         const LocalEvent& event) const {
  POLDER_TRY(auto answer, read_answer(snapshot, *event.transaction, event.transaction->path));
  if (answer || !room.exists) return answer;
  return read_former_answer(RoomView(room, snapshot, parts_.names, caches_), room, event);
}

// Sends the event, unless its request was answered before: then with what.
Rooms::Step RoomWriter::step_of(LocalEvent event,
                                std::shared_ptr<std::optional<EventId>> answered) const {
  const RoomWriter* self = this;
  auto shared = std::make_shared<const LocalEvent>(std::move(event));
  return [self, shared, answered](Room& room, const kv::Snapshot& snapshot) -> Result<Staged> {
    if (shared->transaction) {
      POLDER_TRY(*answered, self->answer_before(room, snapshot, *shared));
      if (*answered) return fail(ErrorCode::kExists, "the request was answered before");
    }
    // What this server knows of a room that it left is old: nothing is built on it.
    if (!room.exists || !room.record.local_joined) return not_here(*shared);
    return self->build_and_stage(room, snapshot, *shared);
  };
}

Task<Result<SentEvent>> RoomWriter::send(RoomId room, LocalEvent event) {
  const auto number = co_await rooms_.number_of(std::move(room));
  if (!number.ok() && number.error().code == ErrorCode::kNotFound) co_return not_here(event);
  if (!number.ok()) co_return number.error();
  auto make = [this, number = *number, event = std::move(event)]() mutable {
    return send_on_shard(number, std::move(event));
  };
  co_return co_await runtime::on_shard(parts_.runtime, rooms_.shard_of(*number), std::move(make));
}

}  // namespace polder::rooms
