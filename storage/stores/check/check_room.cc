#include "storage/stores/check/check_room.h"

#include "storage/keys/key.h"
#include "storage/stores/base/columns.h"
#include "storage/stores/check/check_chains.h"
#include "storage/stores/rooms/partial_rows.h"
#include "storage/stores/rooms/purge_rows.h"
#include "storage/stores/rooms/relation_rows.h"
#include "storage/stores/rooms/state_map.h"
#include "storage/stores/rooms/time_rows.h"

namespace polder::stores {
namespace {

constexpr size_t kNodeCacheBytes = size_t{4} << 20;

class RoomChecker {
 public:
  RoomChecker(const CheckContext& context, RoomNumber room, const RoomRecord& record,
              const RoomMentions& mentions)
      : context_(context),
        room_(room),
        record_(record),
        mentions_(mentions),
        nodes_(room, context.snapshot, cache_) {}

  Status run() {
    POLDER_TRY(const auto purge, read_history_purge(context_.snapshot, room_));
    if (purge) purged_to_ = purge->last;
    if ((purge ? purge->below : 0) != record_.history_from)
      fault("the room does not know what was purged of its history");
    POLDER_CHECK(read_events());
    check_ids();
    check_links();
    POLDER_CHECK(check_chains(context_, room_, events_));
    check_extremities();
    POLDER_CHECK(check_timeline());
    POLDER_CHECK(check_depths());
    POLDER_CHECK(check_times());
    check_stream();
    POLDER_CHECK(check_partial());
    POLDER_CHECK(check_states());
    POLDER_CHECK(check_current_state());
    POLDER_CHECK(check_members());
    return check_relations();
  }

 private:
  void fault(std::string_view what) const {
    context_.fault(std::string(what) + " in room " + std::to_string(room_));
  }
  bool has(EventNumber number) const { return events_.contains(number); }
  static bool shown(const Standing& standing) {
    return !standing.outlier && !standing.rejected && !standing.soft_failed;
  }

  Status read_events() {
    const auto rows = context_.snapshot.iterate(
        kEventRecords, kv::prefix_range(keys::KeyWriter().u64(room_).str()));
    for (rows->seek_to_first(); rows->valid(); rows->next()) {
      keys::KeyReader key(rows->key());
      key.u64();
      const EventNumber number = key.u64();
      auto record = read_event_record(context_.snapshot, {room_, number});
      if (!record.ok()) {
        fault(record.error().message);
        continue;
      }
      KnownEvent known{**std::move(record), std::nullopt};
      POLDER_TRY(const auto json, read_event_json(context_.snapshot, {room_, number}));
      if (!json) fault("an event has a record and no content");
      if (json && context_.reader) POLDER_CHECK(read_facts(number, *json, known));
      events_.emplace(number, std::move(known));
    }
    return rows->status();
  }

  Status read_facts(EventNumber number, const std::string& json, KnownEvent& known) {
    auto facts = context_.reader(record_.version, json);
    if (!facts.ok()) {
      fault("an event cannot be read: " + facts.error().message);
      return {};
    }
    POLDER_TRY(const auto place, find_event(context_.snapshot, facts->id));
    if (!place || place->room != room_ || place->number != number)
      fault("an event's own id leads elsewhere");
    known.facts = *std::move(facts);
    return {};
  }

  void check_ids() const {
    for (const EventNumber number : mentions_.ids) {
      if (!has(number)) fault("an event id leads to no event");
    }
    for (const auto& [number, known] : events_) {
      if (!mentions_.ids.contains(number)) fault("no event id leads to an event");
    }
    if (!events_.empty() && events_.rbegin()->first > record_.last_event)
      fault("an event is beyond the last one");
  }

  void check_links() const {
    for (const auto& [number, known] : events_) {
      for (const EventNumber auth : known.record.auth_events) {
        const bool lost = known.record.standing.rejected && auth <= purged_to_;
        if (auth >= number || (!has(auth) && !lost)) fault("an auth event is missing or newer");
      }
      for (const EventNumber prev : known.record.prev_events) {
        if (!has(prev) && prev > purged_to_) fault("a prev event is missing");
      }
    }
  }

  void check_extremities() const {
    std::set<EventNumber> edges;
    for (const EventNumber edge : record_.extremities) {
      const auto found = events_.find(edge);
      if (found == events_.end() || !shown(found->second.record.standing))
        fault("a forward extremity is no accepted event");
      if (!edges.insert(edge).second) fault("a forward extremity is named twice");
    }
    bool any = false;
    for (const auto& [number, known] : events_) {
      const Standing& standing = known.record.standing;
      if (!shown(standing) || standing.backfilled) continue;
      any = true;
      for (const EventNumber prev : known.record.prev_events) {
        if (edges.contains(prev)) fault("a forward extremity has a successor");
      }
    }
    if (any && edges.empty()) fault("there is no forward extremity");
  }

  // Every entry leads to an event with that position, and there are as many as such events.
  Status check_timeline() const {
    POLDER_TRY(const auto entries, read_timeline_forwards(context_.snapshot, room_, 0,
                                                          kv::kLastPosition - 1, ~size_t{0}));
    for (const TimelineEntry& entry : entries) {
      const auto found = events_.find(entry.number);
      if (found == events_.end() || found->second.record.position != entry.position)
        fault("a timeline entry leads astray");
    }
    const auto expected = std::ranges::count_if(events_, [](const auto& item) {
      const Standing& standing = item.second.record.standing;
      return shown(standing) && !standing.backfilled;
    });
    if (entries.size() != static_cast<size_t>(expected))
      fault("the timeline lacks or repeats events");
    return {};
  }

  Status check_depths() const {
    POLDER_TRY(const auto entries, read_from(context_.snapshot, room_, {}, ~size_t{0}));
    for (const DepthEntry& entry : entries) {
      const auto found = events_.find(entry.number);
      if (found == events_.end() || found->second.record.position != entry.place.position ||
          found->second.record.depth != entry.place.depth)
        fault("an entry of the order by depth leads astray");
    }
    const auto expected = std::ranges::count_if(
        events_, [](const auto& item) { return shown(item.second.record.standing); });
    if (entries.size() != static_cast<size_t>(expected))
      fault("the order by depth lacks or repeats events");
    return {};
  }

  Status check_times() const {
    POLDER_TRY(const auto entries, read_from_time(context_.snapshot, room_, {}, ~size_t{0}));
    for (const TimeEntry& entry : entries) {
      const auto found = events_.find(entry.number);
      if (found == events_.end() || !shown(found->second.record.standing) ||
          (found->second.facts &&
           std::max<int64_t>(found->second.facts->time_ms, 0) != entry.time_ms))
        fault("an entry of the order by time leads astray");
    }
    const auto expected = std::ranges::count_if(
        events_, [](const auto& item) { return shown(item.second.record.standing); });
    if (entries.size() != static_cast<size_t>(expected))
      fault("the order by time lacks or repeats events");
    return {};
  }

  void check_stream() const {
    size_t expected = 0;
    for (const auto& [number, known] : events_) {
      if (known.record.standing.outlier) continue;
      ++expected;
      const auto found = mentions_.stream.find(known.record.position);
      if (found == mentions_.stream.end() || found->second != number)
        fault("the stream of all events lacks an event");
    }
    if (expected < mentions_.stream.size()) fault("the stream of all events has an event too many");
  }

  // The events with a partial state are those that are listed, among them the origins.
  Status check_partial() const {
    std::set<EventNumber> listed;
    POLDER_TRY(const auto events, read_partial_events(context_.snapshot, room_, ~size_t{0}));
    for (const PartialEvent& event : events) {
      const auto found = events_.find(event.number);
      if (found == events_.end() || found->second.record.position != event.position)
        fault("the list of partial states names an event that is not there");
      listed.insert(event.number);
    }
    POLDER_TRY(const auto origins, read_partial_origins(context_.snapshot, room_));
    for (const auto& [number, origin] : origins) {
      if (!listed.contains(number)) fault("an origin of a partial state has none");
    }
    for (const auto& [number, known] : events_) {
      if (known.record.standing.partial != listed.contains(number))
        fault("an event with a partial state is not listed, or one without is");
    }
    const bool must_be_partial = !listed.empty() || record_.edge_state;
    if (must_be_partial && !record_.partial) fault("the room does not know of its partial states");
    return {};
  }

  Status check_states() {
    for (const auto& [number, known] : events_) {
      const EventRecord& record = known.record;
      if (record.standing.outlier) continue;
      POLDER_CHECK(check_state(record.state_before));
      POLDER_CHECK(check_state(record.state_after));
      if (record.room_state) POLDER_CHECK(check_state(*record.room_state));
    }
    POLDER_CHECK(check_state(record_.edge()));
    return check_state(record_.state);
  }

  // All nodes of a map that were not looked at yet.
  Status check_state(StateRoot root) {
    if (root.node == 0) return {};
    std::vector<StateRoot> todo = {root};
    while (!todo.empty()) {
      const StateRoot next = todo.back();
      todo.pop_back();
      const auto [known, inserted] = hashes_.emplace(next.node, 0);
      if (inserted) known->second = read_node(next.node, todo);
      if (known->second != next.hash) fault("a state node is not what names it");
    }
    return {};
  }

  // The content's hash, 0 if it cannot be read; adds the children.
  uint64_t read_node(uint64_t number, std::vector<StateRoot>& children) {
    if (number > record_.last_node) fault("a state node is beyond the last one");
    const auto node = nodes_.load(number);
    if (!node.ok()) {
      fault(node.error().message);
      return 0;
    }
    for (const StateNode::Item& item : (*node)->items) {
      if ((*node)->level > 0) {
        children.push_back({item.value, item.hash});
      } else {
        check_entry({item.last, item.value});
      }
    }
    return (*node)->content_hash();
  }

  void check_entry(const StateEntry& entry) {
    const auto found = events_.find(entry.event);
    if (found == events_.end()) return fault("a state names an event that is not there");
    const auto& facts = found->second.facts;
    if (!facts) return;
    if (!facts->state_key || number_of(NameKind::kType, facts->type) != entry.key.type ||
        number_of(NameKind::kStateKey, *facts->state_key) != entry.key.key)
      fault("a state names an event under a key that is not the event's");
  }

  // 0 if there is none, or it cannot be read: then Names::check() has told.
  uint64_t number_of(NameKind kind, const std::string& name) {
    const auto [known, inserted] = numbers_.try_emplace({kind, name}, 0);
    if (inserted) known->second = Names::find_in(context_.snapshot, kind, name).value_or(0);
    return known->second;
  }

  Status check_current_state() const {
    if (record_.extremities.size() != 1) return {};
    const auto edge = events_.find(record_.extremities.front());
    if (edge != events_.end() && edge->second.record.state_after.hash != record_.edge().hash)
      fault("the current state is not the one after the last event");
    return {};
  }

  Status check_members() {
    // A room that this server left is as it was then. Invites of its users may have gone on since.
    const bool invites_differ = record_.local_joined && mentions_.invited.size() != record_.invited;
    if (mentions_.joined.size() != record_.joined || invites_differ)
      fault("the memberships of users are not the members of the room");
    for (const EventNumber event : mentions_.memberships) {
      if (!has(event)) fault("a membership names an event that is not there");
    }
    uint64_t joined = 0;
    POLDER_TRY(const auto counts, read_server_counts(context_.snapshot, room_));
    for (const auto& [server, count] : counts)
      joined += count;
    if (joined != record_.joined)
      fault("the members of the servers are not the members of the room");
    return context_.reader ? check_member_events() : Status();
  }

  // The rows of users name the member events of the current state.
  Status check_member_events() {
    size_t joined = 0;
    const uint64_t type = number_of(NameKind::kType, "m.room.member");
    const Status walked = state_for_each(
        nodes_, record_.state, static_cast<uint32_t>(type), [&](const StateEntry& entry) {
          const auto found = events_.find(entry.event);
          if (found == events_.end() || !found->second.facts) return true;
          const EventFacts& facts = *found->second.facts;
          if (facts.membership != to_string(Membership::kJoin)) return true;
          const uint64_t user = number_of(NameKind::kUser, facts.state_key.value_or(""));
          const auto member = mentions_.joined.find(user);
          if (member == mentions_.joined.end() || member->second != entry.event)
            fault("a member of the current state is not among the user's rooms");
          ++joined;
          return true;
        });
    if (!walked.ok()) return {};  // check_states() has told
    if (joined != record_.joined) fault("the current state has other members than are counted");
    return {};
  }

  Status check_relations() const {
    POLDER_TRY(const auto threads, read_threads(context_.snapshot, room_));
    std::map<std::string, DepthPlace> latest;
    for (const Thread& thread : threads)
      latest.emplace(thread.root, thread.latest);
    POLDER_CHECK(for_each_relation(
        context_.snapshot, room_, [&](std::string_view parent, const Relation& relation) -> Status {
          const auto child = events_.find(relation.child);
          if (child == events_.end() || child->second.record.depth != relation.place.depth)
            fault("a relation leads to no event");
          if (relation.rel_type != "m.thread") return {};
          const auto thread = latest.find(std::string(parent));
          if (thread == latest.end() || thread->second < relation.place)
            fault("a thread does not know of a reply");
          return {};
        }));
    return for_each_redaction(context_.snapshot, room_,
                              [this](EventNumber target, EventNumber redaction) -> Status {
                                if (!has(target) || !has(redaction))
                                  fault("a redaction joins events that are not there");
                                return {};
                              });
  }

  const CheckContext& context_;
  const RoomNumber room_;
  const RoomRecord& record_;
  const RoomMentions& mentions_;
  StateNodeCache cache_{kNodeCacheBytes};
  StateNodes nodes_;
  EventNumber purged_to_ = 0;  // events up to here may be gone
  std::map<EventNumber, KnownEvent> events_;
  std::unordered_map<uint64_t, uint64_t> hashes_;  // of the nodes that were looked at
  std::map<std::pair<NameKind, std::string>, uint64_t> numbers_;
};

}  // namespace

Status check_room(const CheckContext& context, RoomNumber room, const RoomRecord& record,
                  const RoomMentions& mentions) {
  return RoomChecker(context, room, record, mentions).run();
}

}  // namespace polder::stores
