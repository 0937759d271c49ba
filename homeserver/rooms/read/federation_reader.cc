#include "homeserver/rooms/read/federation_reader.h"

#include <algorithm>
#include <deque>
#include <queue>
#include <unordered_set>

#include "homeserver/protocol/dag/power_levels.h"
#include "homeserver/protocol/events/signing.h"
#include "homeserver/rooms/model/room_state.h"

namespace polder::rooms {
namespace {

using stores::Membership;

constexpr size_t kWalkedMax = 1000;  // events looked at for one answer

Error unknown_event() {
  return fail(ErrorCode::kNotFound, "Event not found");
}

}  // namespace

Result<std::optional<std::string>> visible_pdu(const kv::Snapshot& snapshot,
                                               stores::EventPlace place,
                                               const events::RoomVersionRules& rules) {
  POLDER_TRY(auto json, stores::read_event_json(snapshot, place));
  if (!json) return json;
  POLDER_TRY(const auto redaction, stores::read_redaction(snapshot, place));
  if (!redaction) return json;
  POLDER_TRY(const auto event, events::Event::parse(*json, rules));
  POLDER_TRY(const auto redacted, events::redacted(*event));
  return std::optional(redacted->json());
}

Result<bool> FederationReader::in_room() const {
  const RoomHead& head = room_.head();
  POLDER_TRY(const auto number,
             room_.view().names().find(stores::NameKind::kServer, server_.view()));
  return number && head.servers && head.servers->contains(*number);
}

Result<Membership> FederationReader::membership(const UserId& user) const {
  return room_.membership_at(room_.head().record.state, user.view());
}

Result<FederationReader::Found> FederationReader::find(const EventId& id) const {
  POLDER_TRY(const auto number, room_.view().find(id));
  if (!number) return unknown_event();
  POLDER_TRY(auto held, room_.view().load(*number));
  if (held.record.standing.rejected) return unknown_event();
  return Found(*number, std::move(held));
}

// Stops at the first; few names are of the server that asks, and only their events are read.
Result<bool> FederationReader::has_member(stores::StateRoot root, bool invited_counts) {
  const uint64_t key = root.node * 2 + (invited_counts ? 1 : 0);
  if (const auto known = has_member_.find(key); known != has_member_.end()) return known->second;
  const RoomView& view = room_.view();
  POLDER_TRY(const auto type, view.names().find(stores::NameKind::kType, "m.room.member"));
  if (!type) return false;
  const std::string suffix = ":" + server_.str();
  std::optional<Error> failure;
  bool found = false;
  const auto visit = [&](const stores::StateEntry& entry) {
    const auto name = view.names().name(stores::NameKind::kStateKey, entry.key.key);
    if (!name.ok()) failure = name.error();
    if (!name.ok() || !name->ends_with(suffix)) return !failure;
    const auto user = UserId::parse(*name);
    if (!user.ok() || user->server() != server_.view()) return true;
    const auto held = view.load(entry.event);
    if (!held.ok()) {
      failure = held.error();
      return false;
    }
    const Membership membership = stores::membership_from(held->event->membership());
    found =
        membership == Membership::kJoin || (invited_counts && membership == Membership::kInvite);
    return !found;
  };
  POLDER_CHECK(stores::state_for_each(view.nodes(), root, static_cast<uint32_t>(*type), visit));
  if (failure) return *failure;
  has_member_[key] = found;
  return found;
}

Result<bool> FederationReader::visible(const HeldEvent& event) {
  POLDER_TRY(const bool now, in_room());
  // What is no state lost its place in a purge, and with it whom it was for.
  if (event.record.standing.outlier) return now && event.event->is_state();
  if (event.record.depth < room_.head().record.history_from) return false;  // about to be purged
  std::vector<stores::StateRoot> roots = {event.record.state_after};
  // A visibility or membership event counts with what holds before and with what holds after it.
  const auto& state_key = event.event->state_key();
  if (event.event->is_state("m.room.history_visibility", "") ||
      (event.event->is("m.room.member") && state_key &&
       state_key->ends_with(":" + server_.str()))) {
    roots.push_back(event.record.state_before);
  }
  for (const stores::StateRoot root : roots) {
    POLDER_TRY(const std::string_view visibility, room_.visibility_at(root));
    if (visibility == "world_readable") return true;
    if (visibility == "shared" && now) return true;
    POLDER_TRY(const bool member, has_member(root, visibility == "invited"));
    if (member) return true;
  }
  return false;
}

Result<bool> FederationReader::shown_whole(const HeldEvent& event) {
  POLDER_TRY(const bool seen, visible(event));
  if (!seen) return false;
  POLDER_TRY(const bool erased, room_.is_erased(*event.event));
  return erased ? has_member(event.record.state_after, false) : Result<bool>(true);
}

Result<std::string> FederationReader::pdu(EventNumber number, bool whole) const {
  const events::RoomVersionRules& rules = *room_.head().rules;
  POLDER_TRY(auto json, rooms::visible_pdu(room_.snapshot(), {room_.head().number, number}, rules));
  if (!json) return fail(ErrorCode::kCorrupt, "an event that is referred to is not there");
  if (whole) return *std::move(json);
  POLDER_TRY(const auto event, events::Event::parse(*json, rules));
  POLDER_TRY(const auto redacted, events::redacted(*event));
  return redacted->json();
}

Result<std::string> FederationReader::visible_pdu(EventNumber number) {
  POLDER_TRY(const HeldEvent held, room_.view().load(number));
  POLDER_TRY(const bool whole, shown_whole(held));
  return pdu(number, whole);
}

// Not through the view, which would keep every event that it parsed.
Result<std::vector<EventId>> FederationReader::ids(const std::vector<EventNumber>& events) const {
  std::vector<EventId> ids;
  ids.reserve(events.size());
  for (const EventNumber number : events) {
    POLDER_TRY(const auto json,
               stores::read_event_json(room_.snapshot(), {room_.head().number, number}));
    if (!json) return fail(ErrorCode::kCorrupt, "an event that is referred to is not there");
    POLDER_TRY(const auto event, events::Event::parse(*json, *room_.head().rules));
    ids.push_back(event->id());
  }
  return ids;
}

Result<std::vector<EventNumber>> FederationReader::state(stores::StateRoot root) const {
  std::vector<EventNumber> events;
  POLDER_CHECK(stores::state_for_each(room_.view().nodes(), root, std::nullopt,
                                      [&](const stores::StateEntry& entry) {
                                        events.push_back(entry.event);
                                        return true;
                                      }));
  return events;
}

Result<std::vector<EventNumber>> FederationReader::auth_chain(
    const std::vector<EventNumber>& events) const {
  std::unordered_set<EventNumber> chain;
  std::vector<EventNumber> waiting = events;
  while (!waiting.empty()) {
    const EventNumber number = waiting.back();
    waiting.pop_back();
    POLDER_TRY(const auto record,
               stores::read_event_record(room_.snapshot(), {room_.head().number, number}));
    if (!record) return fail(ErrorCode::kCorrupt, "an event that is referred to is not there");
    for (const EventNumber auth : record->auth_events) {
      if (!chain.insert(auth).second) continue;
      waiting.push_back(auth);
      if (chain.size() > kChainEventsMax)
        return fail(ErrorCode::kTooLarge, "the auth chain is too long");
    }
  }
  if (room_.head().rules->room_id_is_create_hash && !events.empty()) {
    POLDER_TRY(const auto create, room_.view().find(dag::create_event_id(room_.head().record.id)));
    if (create) chain.insert(*create);
  }
  std::vector<EventNumber> ordered(chain.begin(), chain.end());
  std::ranges::sort(ordered);
  return ordered;
}

// The prev events are taken from the events themselves: a record names those only that were known
// when it was written, and older ones may have come since.
Result<std::vector<EventNumber>> FederationReader::backfill(const std::vector<EventId>& from,
                                                            size_t limit) const {
  std::priority_queue<std::pair<int64_t, EventNumber>> waiting;  // by depth
  std::unordered_set<EventNumber> seen;
  const auto add = [&](const EventId& id) -> Status {
    POLDER_TRY(const auto number, room_.view().find(id));
    if (!number || !seen.insert(*number).second) return {};
    POLDER_TRY(const auto record, room_.view().record(*number));
    if (!record.standing.outlier) waiting.emplace(record.depth, *number);
    return {};
  };
  for (const EventId& id : from)
    POLDER_CHECK(add(id));
  std::vector<EventNumber> events;
  for (size_t walked = 0; !waiting.empty() && events.size() < limit && walked < kWalkedMax;
       ++walked) {
    const EventNumber number = waiting.top().second;
    waiting.pop();
    POLDER_TRY(const HeldEvent held, room_.view().load(number));
    if (!held.record.standing.rejected) events.push_back(number);
    for (const EventId& prev : held.event->prev_events())
      POLDER_CHECK(add(prev));
  }
  return events;
}

Result<std::vector<EventNumber>> FederationReader::missing(const std::vector<EventId>& earliest,
                                                           const std::vector<EventId>& latest,
                                                           int64_t min_depth, size_t limit) const {
  std::unordered_set<EventId> seen(earliest.begin(), earliest.end());
  std::deque<EventNumber> waiting;  // breadth first
  for (const EventId& id : latest) {
    POLDER_TRY(const auto number, room_.view().find(id));
    if (number && seen.insert(id).second) waiting.push_back(*number);
  }
  std::vector<std::pair<int64_t, EventNumber>> found;
  for (size_t walked = 0; !waiting.empty() && found.size() < limit && walked < kWalkedMax;
       ++walked) {
    POLDER_TRY(const HeldEvent held, room_.view().load(waiting.front()));
    waiting.pop_front();
    for (const EventId& prev : held.event->prev_events()) {
      if (!seen.insert(prev).second) continue;
      POLDER_TRY(const auto number, room_.view().find(prev));
      if (!number) continue;
      POLDER_TRY(const auto record, room_.view().record(*number));
      if (record.standing.outlier || record.depth < min_depth) continue;
      waiting.push_back(*number);
      if (!record.standing.rejected && found.size() < limit)
        found.emplace_back(record.depth, *number);
    }
  }
  std::ranges::sort(found);
  std::vector<EventNumber> events;
  for (const auto& [depth, number] : found)
    events.push_back(number);
  return events;
}

Status FederationReader::allows(const events::Event& event) const {
  const RoomView sent = room_.as_sent();
  return dag::authorise(event, RoomState(sent, room_.head().record.state));
}

Status FederationReader::check_links(const events::Event& event) const {
  if (event.prev_events().empty()) return fail(ErrorCode::kMissing, "the event has no prev events");
  for (const EventId& id : event.prev_events()) {
    POLDER_TRY(const auto number, room_.view().find(id));
    if (!number) return fail(ErrorCode::kMissing, "a prev event is not known");
    POLDER_TRY(const auto record, room_.view().record(*number));
    if (record.standing.outlier) return fail(ErrorCode::kMissing, "a prev event has no place");
  }
  for (const EventId& id : event.auth_events()) {
    POLDER_TRY(const auto number, room_.view().find(id));
    if (!number) return fail(ErrorCode::kMissing, "an auth event is not known");
  }
  return {};
}

}  // namespace polder::rooms
