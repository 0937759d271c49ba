#include "homeserver/rooms/write/stage.h"

#include <algorithm>

#include "homeserver/protocol/dag/auth_events.h"
#include "homeserver/protocol/dag/authorise.h"
#include "homeserver/protocol/dag/authorise_power_levels.h"
#include "homeserver/protocol/dag/power_levels.h"
#include "homeserver/protocol/events/signing.h"
#include "homeserver/rooms/model/notification.h"
#include "homeserver/rooms/model/room_state.h"
#include "homeserver/rooms/write/current_state.h"
#include "homeserver/rooms/write/extremities.h"
#include "homeserver/rooms/write/relations.h"
#include "storage/stores/rooms/relation_rows.h"
#include "storage/stores/rooms/time_rows.h"

namespace polder::rooms {
namespace {

using stores::StateRoot;

// One event on its way through the steps. Works on copies; the room is changed only by finish().
class Staging {
 public:
  Staging(const StageContext& context, Room& room, const kv::Snapshot& snapshot, StageInput input)
      : context_(context),
        room_(room),
        view_(room, snapshot, context.names, context.caches),
        input_(std::move(input)),
        record_(room.record),
        current_(context, room, view_, record_, staged_) {}

  Result<Staged> run() {
    POLDER_CHECK(find_links());
    POLDER_CHECK(find_state_before());
    POLDER_CHECK(check());
    POLDER_CHECK(drop_strangers());
    if (input_.origin == Origin::kLocal && staged_.verdict != Verdict::kAccepted) {
      POLDER_TRY(const bool for_nobody, is_for_nobody());
      return fail(for_nobody ? ErrorCode::kInvalid : ErrorCode::kForbidden, staged_.refusal);
    }
    POLDER_CHECK(set_state_after());
    POLDER_CHECK(find_place());
    POLDER_CHECK(move_edge());
    POLDER_CHECK(write());
    finish();
    return std::move(staged_);
  }

  Result<Staged> run_outlier() {
    POLDER_CHECK(find_auth_events());
    POLDER_TRY([[maybe_unused]] const bool allowed, check_by_auth_events());
    POLDER_CHECK(drop_strangers());
    record_of_event_.standing.outlier = true;
    record_of_event_.depth = event().depth();
    staged_.stored.place = {room_.number, ++record_.last_event};
    if (event().is_state()) POLDER_CHECK(intern_state_key());
    POLDER_CHECK(find_place());
    POLDER_CHECK(write_rows(std::nullopt));
    finish();
    return std::move(staged_);
  }

  Result<Staged> run_again(EventNumber number) {
    POLDER_TRY(const HeldEvent held, view_.load(number));
    input_.event = held.event;
    record_of_event_ = held.record;
    if (!held.record.standing.soft_failed) return fail(ErrorCode::kExists, "not soft-failed");
    POLDER_CHECK(dag::authorise(event(), state_for_event(record_.edge())));
    stores::erase_stream_event(staged_.batch, held.record.position);
    stores::erase_partial_event(staged_.batch, room_.number, held.record.position);
    record_of_event_.standing.soft_failed = false;
    staged_.stored.place = {room_.number, number};
    POLDER_CHECK(find_place());
    POLDER_CHECK(move_edge());
    POLDER_CHECK(write());
    finish();
    return std::move(staged_);
  }

 private:
  const events::Event& event() const { return *input_.event; }

  Status find_auth_events() {
    for (const EventId& id : event().auth_events()) {
      POLDER_TRY(const auto number, view_.find(id));
      if (!number) return fail(ErrorCode::kMissing, "an auth event is not known");
      record_of_event_.auth_events.push_back(*number);
    }
    // The room id stands for the create event where none names it; an event must not be rejected
    // for good because it came first.
    if (event().rules().room_id_is_create_hash && !event().is_state("m.room.create", "")) {
      POLDER_TRY(const auto create, view_.find(dag::create_event_id(event().room_id())));
      if (!create) return fail(ErrorCode::kMissing, "the create event is not known");
    }
    return {};
  }

  // In room versions 1 and 2 servers choose ids: one that stands for two events stands for the
  // first. Nothing else may have been built on by then.
  Status check_same_event() const {
    if (event().rules().event_ids != events::EventIdFormat::kServerGiven) return {};
    POLDER_TRY(const auto known, view_.find(event().id()));
    if (!known) return {};
    POLDER_TRY(const HeldEvent held, view_.load(*known));
    if (events::reference_hash(held.event->object(), event().rules()) ==
        events::reference_hash(event().object(), event().rules()))
      return {};
    return fail(ErrorCode::kForbidden, "another event has this id");
  }

  Status find_links() {
    POLDER_CHECK(check_same_event());
    POLDER_CHECK(find_auth_events());
    for (const EventId& id : event().prev_events()) {
      POLDER_TRY(const auto number, view_.find(id));
      if (number) {
        record_of_event_.prev_events.push_back(*number);
      } else if (!input_.state_before) {
        return fail(ErrorCode::kMissing, "a prev event is not known");
      }
    }
    return {};
  }

  // "The state before the event": what the states after its prev events resolve to.
  Status find_state_before() {
    if (input_.state_before) {
      record_of_event_.state_before = *input_.state_before;
      record_of_event_.standing.partial = input_.partial.has_value();
      return {};
    }
    std::vector<StateRoot> roots;
    for (const EventNumber number : record_of_event_.prev_events) {
      POLDER_TRY(const auto prev, view_.record(number));
      if (prev.standing.outlier)
        return fail(ErrorCode::kMissing, "the state at a prev event is not known");
      roots.push_back(prev.state_after);
      if (prev.standing.partial) record_of_event_.standing.partial = true;
    }
    POLDER_TRY(record_of_event_.state_before, resolved(std::move(roots)));
    return {};
  }

  Result<StateRoot> resolved(std::vector<StateRoot> roots) {
    POLDER_TRY(const auto update,
               resolve_states(room_, view_, std::move(roots), record_.last_node));
    return adopt(update);
  }

  StateRoot adopt(const stores::StateUpdate& update) {
    record_.last_node = update.last_node;
    stage_nodes(room_, update, staged_);
    return update.root;
  }

  void refuse(Verdict verdict, const Error& error) {
    staged_.verdict = verdict;
    staged_.refusal = error.message;
    record_of_event_.standing.rejected = verdict == Verdict::kRejected;
    record_of_event_.standing.soft_failed = verdict == Verdict::kSoftFailed;
  }

  // False if refused; an error that is no refusal is handed on.
  Result<bool> passes(const Status& status, Verdict verdict) {
    if (status.ok()) return true;
    if (status.error().code != ErrorCode::kForbidden) return status.error();
    refuse(verdict, status.error());
    return false;
  }

  // Step 4: passes authorisation rules based on the event's auth events, otherwise it is rejected.
  Result<bool> check_by_auth_events() {
    POLDER_TRY(const bool listed,
               passes(dag::check_auth_events(event(), view_), Verdict::kRejected));
    if (!listed) return false;
    std::vector<events::EventPtr> auth_events;
    authorisers_ = record_of_event_.auth_events;
    for (const EventNumber number : authorisers_) {
      POLDER_TRY(auto held, view_.load(number));
      auth_events.push_back(std::move(held.event));
    }
    if (event().rules().room_id_is_create_hash && !event().is_state("m.room.create", "")) {
      POLDER_TRY(const auto create, view_.find(dag::create_event_id(event().room_id())));
      POLDER_TRY(auto held, view_.load(*create));
      auth_events.push_back(std::move(held.event));
      authorisers_.push_back(*create);
    }
    return passes(dag::authorise(event(), dag::EventListState(auth_events)), Verdict::kRejected);
  }

  // Else whoever has a server could fill the disk with what no rule allows. Who is in a room is
  // known once its state is.
  Status drop_strangers() const {
    if (!input_.drops_strangers || staged_.verdict == Verdict::kAccepted) return {};
    if (record_.partial || room_.servers.empty()) return {};
    POLDER_TRY(bool kept, has_members(event().sender().server()));
    if (!kept && staged_.verdict == Verdict::kSoftFailed) {
      POLDER_TRY(kept, has_members(input_.built_on_by));
    }
    if (kept) return {};
    return fail(ErrorCode::kForbidden, staged_.refusal);
  }

  Result<bool> has_members(std::string_view server_name) const {
    POLDER_TRY(const auto server, context_.names.find(stores::NameKind::kServer, server_name));
    return server && room_.servers.contains(*server);
  }

  Status check() {
    // Only the first event of a room can create it: by the rules alone, a second create event
    // without prev events would pass in versions before 12 (CVE-2025-54315).
    if (event().is_state("m.room.create", "") && !record_.extremities.empty()) {
      POLDER_TRY(const auto known, view_.find(event().id()));
      POLDER_TRY(const auto own, view_.state_number(record_.edge(), "m.room.create", ""));
      if (!known || known != own) {
        refuse(Verdict::kRejected, fail(ErrorCode::kForbidden, "the room is created already"));
        return {};
      }
      // The room's own, known so far as part of its state: it begins the history.
      input_.origin = Origin::kBackfill;
    }
    POLDER_TRY(const bool by_auth_events, check_by_auth_events());
    if (!by_auth_events) return {};
    // Step 5: passes authorisation rules based on the state before the event, otherwise it is
    // rejected.
    POLDER_TRY(const bool by_state,
               passes(dag::authorise(event(), state_for_event(record_of_event_.state_before)),
                      Verdict::kRejected));
    if (!by_state || input_.origin == Origin::kBackfill) return {};
    // Step 6: passes authorisation rules based on the current state of the room, otherwise it is
    // soft-failed.
    // What the room was before this server left it is not current.
    const bool first = record_.extremities.empty() || input_.replaces_edge;
    StateRoot current = record_.edge();
    if (first || current.hash == record_of_event_.state_before.hash) return {};
    // After a gap the event may know what this server missed, a join of its sender above all. What
    // it knows is weighed against the current state, not put in its place: gaps are easily made.
    if (input_.state_before) {
      POLDER_TRY(current, resolved({current, record_of_event_.state_before}));
    }
    POLDER_TRY([[maybe_unused]] const bool by_current,
               passes(dag::authorise(event(), state_for_event(current)), Verdict::kSoftFailed));
    return {};
  }

  RoomState state_for_event(StateRoot root) const {
    const bool partial = record_of_event_.standing.partial || record_.partial;
    return partial ? RoomState(view_, root, record_of_event_.auth_events) : RoomState(view_, root);
  }

  // Whether a refusal is not for want of power: nobody could send the event.
  Result<bool> is_for_nobody() const {
    if (event().is_state("m.room.create", "")) return true;
    if (!event().is_state("m.room.power_levels", "")) return false;
    POLDER_TRY(const auto create,
               view_.state_event(record_of_event_.state_before, "m.room.create", ""));
    return create && !dag::check_power_levels_form(event(), *create).ok();
  }

  Result<stores::StateKey> intern_state_key() {
    POLDER_TRY(const uint64_t type, context_.names.intern(stores::NameKind::kType, event().type(),
                                                          staged_.batch, staged_.names));
    POLDER_TRY(const uint64_t key,
               context_.names.intern(stores::NameKind::kStateKey, *event().state_key(),
                                     staged_.batch, staged_.names));
    return stores::StateKey{static_cast<uint32_t>(type), key};
  }

  Status set_state_after() {
    // An outlier that found its place keeps its number.
    POLDER_TRY(const auto known, view_.find(event().id()));
    staged_.stored.place = {room_.number, known ? *known : ++record_.last_event};
    record_of_event_.state_after = record_of_event_.state_before;
    record_of_event_.depth = event().depth();
    record_of_event_.standing.backfilled = input_.origin == Origin::kBackfill;
    if (!event().is_state() || staged_.verdict == Verdict::kRejected) return {};
    POLDER_TRY(const stores::StateKey key, intern_state_key());
    own_key_ = key;
    POLDER_TRY(const auto update,
               stores::state_apply(view_.nodes(), record_of_event_.state_before,
                                   {{key, staged_.stored.place.number}}, record_.last_node));
    record_of_event_.state_after = adopt(update);
    return {};
  }

  // In the index over auth chains; an outlier that found its place in history has one already.
  Status find_place() {
    if (!event().is_state()) return {};
    const EventNumber number = staged_.stored.place.number;
    if (number <= room_.record.last_event) {
      POLDER_TRY(const dag::ChainPlace known, view_.chain_place(number));
      place_ = {known.chain, known.before, known.linked, {known.links.begin(), known.links.end()}};
      return {};
    }
    POLDER_TRY(place_, view_.choose_place(number, {input_.event, record_of_event_}));
    put_chain_place(staged_.batch, staged_.stored.place, *place_);
    return {};
  }

  // The event becomes a forward extremity in place of its prev events, unless others build on it
  // already, and the current state follows.
  Status move_edge() {
    // The event must be readable from here on: the new state may name it.
    hold();
    if (staged_.verdict != Verdict::kAccepted || input_.origin == Origin::kBackfill) return {};
    if (input_.replaces_edge) record_.extremities.clear();
    std::erase_if(record_.extremities, [&](EventNumber number) {
      return std::ranges::find(record_of_event_.prev_events, number) !=
             record_of_event_.prev_events.end();
    });
    // Only what is here already, as an outlier or as soft-failed, can be named by others.
    const EventNumber number = staged_.stored.place.number;
    const bool known = number <= room_.record.last_event;
    POLDER_TRY(const bool built_on,
               known ? is_built_on(view_, record_.extremities, number) : Result<bool>(false));
    if (!built_on) record_.extremities.push_back(number);
    POLDER_CHECK(prune_extremities(view_, context_.own_name, record_.extremities));
    record_.max_depth = std::max(record_.max_depth, event().depth());
    record_of_event_.room_depth = record_.max_depth;
    std::vector<StateRoot> roots;
    for (const EventNumber end : record_.extremities) {
      POLDER_TRY(const auto record, view_.record(end));
      roots.push_back(record.state_after);
    }
    POLDER_TRY(const StateRoot edge, resolved(std::move(roots)));
    POLDER_CHECK(current_.follow_event(edge, own_key_));
    if (record_.state != record_of_event_.state_after) record_of_event_.room_state = record_.state;
    return {};
  }

  Status write() {
    const kv::PositionSlot slot = staged_.batch.reserve_position();
    if (record_of_event_.standing.partial) {
      record_.partial = true;
      stores::put_partial_event(staged_.batch, staged_.stored.place, slot);
    }
    if (input_.partial)
      stores::put_partial_origin(staged_.batch, staged_.stored.place, *input_.partial);
    POLDER_CHECK(current_.write(slot));
    if (input_.replaces_edge) POLDER_CHECK(current_.end_outside(slot));
    stores::put_stream_event(staged_.batch, slot, staged_.stored.place);
    if (staged_.verdict == Verdict::kAccepted) {
      POLDER_TRY(staged_.stored.redacted, write_links(slot));
      if (!staged_.stored.redacted) POLDER_CHECK(write_notification(slot));
    }
    return write_rows(slot);
  }

  // Numbers what notifies, so that unread counts are differences of numbers.
  Status write_notification(kv::PositionSlot slot) {
    if (input_.origin == Origin::kBackfill) return {};
    const NotificationQuestion question{event(),           record_of_event_.state_before,
                                        record_.state,     record_.joined,
                                        context_.own_name, context_.default_push_rules};
    POLDER_TRY(staged_.stored.notification, notification_of(question, view_));
    put_notification(staged_.batch, room_.number, slot, staged_.stored.notification, record_);
    return {};
  }

  // What the event says of others. Whether it was redacted before it came.
  Result<bool> write_links(kv::PositionSlot slot) {
    const stores::EventPlace place = staged_.stored.place;
    const HeldEvent& held = room_.pending.at(place.number);
    POLDER_CHECK(write_relation(context_.names, room_, view_.snapshot(), held, slot, staged_));
    POLDER_TRY(staged_.stored.redacts, write_redaction(staged_.batch, view_, place, held));
    if (input_.origin == Origin::kLocal) return false;
    return apply_waiting_redactions(staged_.batch, room_, view_, place, event());
  }

  Status write_rows(std::optional<kv::PositionSlot> slot) {
    POLDER_TRY([[maybe_unused]] const uint64_t room,
               context_.names.intern(stores::NameKind::kRoom, record_.id.view(), staged_.batch,
                                     staged_.names));
    stores::put_event(staged_.batch, staged_.stored.place, event().id(), event().json(),
                      record_of_event_, slot);
    stores::put_room(staged_.batch, room_.number, record_);
    staged_.stored.event = input_.event;
    staged_.stored.record = record_of_event_;
    staged_.stored.slot = slot;
    staged_.stored.local = input_.origin == Origin::kLocal;
    if (!slot || staged_.verdict != Verdict::kAccepted) return {};
    stores::put_event_time(staged_.batch, staged_.stored.place, event().origin_server_ts());
    for (Contributor* contributor : context_.contributors) {
      POLDER_CHECK(contributor->contribute(staged_.stored, staged_.changes, staged_.batch));
    }
    return {};
  }

  void hold() {
    const EventNumber number = staged_.stored.place.number;
    HeldEvent held{input_.event, record_of_event_, place_};
    const auto known = room_.pending.find(number);
    if (!std::exchange(held_, true) && known != room_.pending.end()) replaced_ = known->second;
    if (replaced_) held.commits = replaced_->commits + 1;
    room_.pending.insert_or_assign(number, std::move(held));
  }

  // Those who send send again: what allows their events is read once.
  void keep_authorisers() {
    if (input_.origin != Origin::kLocal) return;
    for (const EventNumber number : authorisers_) {
      if (room_.pending.contains(number) || room_.kept.find(number) != nullptr) continue;
      if (auto held = view_.load(number); held.ok()) room_.kept.keep(number, *std::move(held));
    }
  }

  void finish() {
    const EventNumber number = staged_.stored.place.number;
    hold();
    if (place_ && number > room_.record.last_event && place_->before != 0)
      room_.pending_chain_ends[place_->chain] = number;
    room_.pending_ids.insert_or_assign(event().id(), number);
    keep_authorisers();
    current_.apply(room_);
    room_.record = std::move(record_);
    room_.exists = true;
    done_ = true;
  }

 public:
  // What a failed run put into the room is taken out again.
  ~Staging() {
    if (done_) return;
    for (const uint64_t node : staged_.nodes)
      room_.pending_nodes.erase(node);
    if (!held_) return;
    room_.pending.erase(staged_.stored.place.number);
    if (replaced_) room_.pending.emplace(staged_.stored.place.number, *std::move(replaced_));
  }

 private:
  const StageContext& context_;
  Room& room_;
  RoomView view_;
  StageInput input_;
  stores::RoomRecord record_;
  stores::EventRecord record_of_event_;
  std::optional<dag::NewChainPlace> place_;  // of a state event
  std::vector<EventNumber> authorisers_;
  std::optional<stores::StateKey> own_key_;  // of a state event that is not rejected
  Staged staged_;
  CurrentState current_;
  bool held_ = false;                  // among the room's pending events...
  std::optional<HeldEvent> replaced_;  // ...instead of this, whose commit is under way
  bool done_ = false;
};

}  // namespace

Result<Staged> stage(const StageContext& context, Room& room, const kv::Snapshot& snapshot,
                     StageInput input) {
  return Staging(context, room, snapshot, std::move(input)).run();
}

Result<Staged> stage_again(const StageContext& context, Room& room, const kv::Snapshot& snapshot,
                           EventNumber event) {
  return Staging(context, room, snapshot, {}).run_again(event);
}

Status check_by_current_state(const StageContext& context, const Room& room,
                              const kv::Snapshot& snapshot, const events::Event& event) {
  const RoomView view(room, snapshot, context.names, context.caches);
  return dag::authorise(event, RoomState(view, room.record.edge()));
}

Result<Staged> stage_outlier(const StageContext& context, Room& room, const kv::Snapshot& snapshot,
                             events::EventPtr event) {
  StageInput input;
  input.event = std::move(event);
  input.drops_strangers = true;
  return Staging(context, room, snapshot, std::move(input)).run_outlier();
}

}  // namespace polder::rooms
