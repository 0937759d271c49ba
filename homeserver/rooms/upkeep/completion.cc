#include "homeserver/rooms/upkeep/completion.h"

#include <algorithm>
#include <set>

#include "homeserver/protocol/dag/authorise.h"
#include "homeserver/rooms/model/room_state.h"
#include "homeserver/rooms/write/current_state.h"
#include "homeserver/rooms/write/extremities.h"
#include "storage/stores/rooms/time_rows.h"

namespace polder::rooms {
namespace {

using stores::StateRoot;

constexpr size_t kPartialEventsMax = 100'000;  // looked at in one turn

class Completing {
 public:
  Completing(const StageContext& context, Room& room, const kv::Snapshot& snapshot,
             const std::map<EventNumber, StateRoot>& whole)
      : context_(context),
        room_(room),
        snapshot_(snapshot),
        view_(room, snapshot, context.names, context.caches),
        whole_(whole),
        record_(room.record),
        current_(context, room, view_, record_, summary_) {}
  Completing(const Completing&) = delete;
  Completing& operator=(const Completing&) = delete;

  // What a failed run put into the room is taken out again.
  ~Completing() {
    if (done_) return;
    for (const Staged& one : events_)
      room_.pending.erase(one.stored.place.number);
    for (const uint64_t node : summary_.nodes)
      room_.pending_nodes.erase(node);
  }

  Result<Completion> run(size_t max) {
    POLDER_TRY(const auto origins, stores::read_partial_origins(snapshot_, room_.number));
    for (const auto& [number, origin] : origins)
      origins_.insert(number);
    POLDER_TRY(const auto events,
               stores::read_partial_events(snapshot_, room_.number, kPartialEventsMax));
    size_t left = 0;
    for (const stores::PartialEvent& event : events) {
      POLDER_TRY(const bool completed, events_.size() < max ? complete(event) : false);
      if (!completed) ++left;
    }
    Completion completion;
    completion.done = left == 0 && !any_pending();
    if (events_.empty() && !record_.edge_state && !(completion.done && record_.partial))
      return completion;
    POLDER_TRY(completion.done, write_summary(completion.done));
    room_.record = std::move(record_);
    current_.apply(room_);
    completion.staged.push_back(std::move(summary_));
    for (Staged& event : events_)
      completion.staged.push_back(std::move(event));
    done_ = true;
    return completion;
  }

 private:
  // What is staged and not settled yet is left for another turn, when its rows can be read.
  bool any_pending() const {
    return std::ranges::any_of(
        room_.pending, [](const auto& pending) { return pending.second.record.standing.partial; });
  }

  Result<bool> complete(const stores::PartialEvent& event) {
    if (room_.pending.contains(event.number)) return false;
    POLDER_TRY(HeldEvent held, view_.load(event.number));
    if (!held.record.standing.partial) return true;
    POLDER_TRY(const auto before, state_before(event.number, held.record));
    if (!before) return false;
    held.record.state_before = *before;
    held.record.standing.partial = false;
    POLDER_CHECK(set_state_after(event.number, held));
    stores::put_event_record(summary_.batch, {room_.number, event.number}, held.record);
    stores::erase_partial_event(summary_.batch, room_.number, event.position);
    stores::erase_partial_origin(summary_.batch, {room_.number, event.number});
    Staged staged;
    staged.stored.place = {room_.number, event.number};
    staged.stored.event = held.event;
    staged.stored.record = held.record;
    room_.pending.insert_or_assign(event.number, std::move(held));
    events_.push_back(std::move(staged));
    return true;
  }

  // Nothing if it is not known in full yet.
  Result<std::optional<StateRoot>> state_before(EventNumber number,
                                                const stores::EventRecord& record) {
    if (const auto found = whole_.find(number); found != whole_.end()) {
      POLDER_TRY(const StateRoot root, kept(record.state_before, found->second));
      return std::optional(root);
    }
    if (origins_.contains(number)) return std::optional<StateRoot>();
    std::vector<StateRoot> roots;
    for (const EventNumber prev : record.prev_events) {
      POLDER_TRY(const auto found, view_.record(prev));
      if (found.standing.partial) return std::optional<StateRoot>();
      if (!found.standing.outlier) roots.push_back(found.state_after);
    }
    POLDER_TRY(const StateRoot root, resolved(std::move(roots)));
    return std::optional(root);
  }

  // The whole, but for what is said otherwise by the part: who enters believes what it is told, and
  // whoever told the rest may be somebody else, who has less or lies.
  Result<StateRoot> kept(StateRoot part, StateRoot whole) {
    POLDER_TRY(const auto differences, stores::state_diff(view_.nodes(), whole, part));
    std::vector<stores::StateEdit> edits;
    for (const stores::StateDifference& difference : differences) {
      if (difference.after) edits.push_back({difference.key, difference.after});
    }
    POLDER_TRY(const auto update,
               stores::state_apply(view_.nodes(), whole, std::move(edits), record_.last_node));
    record_.last_node = update.last_node;
    stage_nodes(room_, update, summary_);
    return update.root;
  }

  Result<StateRoot> resolved(std::vector<StateRoot> roots) {
    POLDER_TRY(const auto update,
               resolve_states(room_, view_, std::move(roots), record_.last_node));
    record_.last_node = update.last_node;
    stage_nodes(room_, update, summary_);
    return update.root;
  }

  // Step 5 of the checks on receipt, by the whole state; and what the event makes of it. An event
  // that came with its state was checked by what was told with it. If that by which this server
  // entered were rejected, no edge would be left, and no later membership of the user could build
  // on it: entering again would mend nothing.
  Status set_state_after(EventNumber number, HeldEvent& held) {
    stores::EventRecord& record = held.record;
    record.state_after = record.state_before;
    if (!record.standing.rejected && !origins_.contains(number)) {
      const Status allowed = dag::authorise(*held.event, RoomState(view_, record.state_before));
      if (!allowed.ok() && allowed.error().code != ErrorCode::kForbidden) return allowed.error();
      if (!allowed.ok()) POLDER_CHECK(reject(number, held));
    }
    if (held.event->is_state() && !record.standing.rejected) {
      POLDER_TRY(const auto key, view_.state_key(held.event->type(), *held.event->state_key()));
      if (!key) return fail(ErrorCode::kCorrupt, "a stored event's state key has no number");
      POLDER_TRY(const auto update, stores::state_apply(view_.nodes(), record.state_before,
                                                        {{*key, number}}, record_.last_node));
      record_.last_node = update.last_node;
      stage_nodes(room_, update, summary_);
      record.state_after = update.root;
    }
    if (record.room_state) {
      POLDER_TRY(record.room_state, resolved({*record.room_state, record.state_after}));
    }
    return {};
  }

  Status reject(EventNumber number, HeldEvent& held) {
    stores::EventRecord& record = held.record;
    const bool shown = !record.standing.soft_failed;
    record.standing.rejected = true;
    record.standing.soft_failed = false;
    if (!shown) return {};
    stores::erase_from_timelines(summary_.batch, room_.number, record);
    stores::erase_event_time(summary_.batch, {room_.number, number},
                             held.event->origin_server_ts());
    if (std::erase(record_.extremities, number) == 0) return {};
    return uncover(record);
  }

  // The event leaves the edge: what it built on, also through what is refused itself, is there
  // again, unless something else builds on it.
  Status uncover(const stores::EventRecord& rejected) {
    std::vector<EventNumber> edge = record_.extremities;
    std::vector<EventNumber> uncovered;
    std::set<EventNumber> seen(edge.begin(), edge.end());
    std::vector<EventNumber> below = rejected.prev_events;
    while (!below.empty()) {
      const EventNumber prev = below.back();
      below.pop_back();
      if (!seen.insert(prev).second) continue;
      POLDER_TRY(const auto record, view_.find_record(prev));
      if (!record || record->standing.outlier) continue;
      if (record->standing.rejected || record->standing.soft_failed) {
        below.insert(below.end(), record->prev_events.begin(), record->prev_events.end());
      } else {
        uncovered.push_back(prev);
      }
    }
    edge.insert(edge.end(), uncovered.begin(), uncovered.end());
    for (const EventNumber number : uncovered) {
      POLDER_TRY(const bool built_on, is_built_on(view_, edge, number));
      if (!built_on) record_.extremities.push_back(number);
    }
    return {};
  }

  // The current state, what follows from it, and who is told. Whether it is there.
  Result<bool> write_summary(bool events_done) {
    std::vector<StateRoot> roots;
    for (const EventNumber number : record_.extremities) {
      POLDER_TRY(const auto edge, view_.record(number));
      roots.push_back(edge.state_after);
    }
    POLDER_TRY(const StateRoot edge, resolved(std::move(roots)));
    POLDER_CHECK(current_.follow(edge));
    const bool done = events_done && !record_.edge_state;
    const kv::PositionSlot slot = summary_.batch.reserve_position();
    POLDER_CHECK(current_.write(slot));
    if (done) {
      record_.partial = false;
      record_.was_partial = true;
      stores::put_completed_at(summary_.batch, room_.number, slot);
    }
    stores::put_room(summary_.batch, room_.number, record_);
    summary_.stored.place = {room_.number, 0};
    summary_.stored.slot = slot;
    for (Contributor* contributor : context_.contributors)
      POLDER_CHECK(contributor->contribute(summary_.stored, summary_.changes, summary_.batch));
    return done;
  }

  const StageContext& context_;
  Room& room_;
  const kv::Snapshot& snapshot_;
  RoomView view_;
  const std::map<EventNumber, StateRoot>& whole_;
  std::set<EventNumber> origins_;
  stores::RoomRecord record_;
  Staged summary_;
  CurrentState current_;
  std::vector<Staged> events_;
  bool done_ = false;
};

}  // namespace

Result<Completion> stage_completion(const StageContext& context, Room& room,
                                    const kv::Snapshot& snapshot,
                                    const std::map<EventNumber, stores::StateRoot>& whole,
                                    size_t max) {
  return Completing(context, room, snapshot, whole).run(max);
}

}  // namespace polder::rooms
