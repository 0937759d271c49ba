#include "homeserver/sync/classic/room_events.h"

#include <set>

#include "homeserver/protocol/events/signing.h"
#include "homeserver/rooms/read/gaps.h"
#include "homeserver/sync/classic/tokens.h"
#include "storage/stores/users/user_rows.h"

namespace polder::sync {
namespace {

using rooms::RoomReader;
using stores::Membership;

constexpr size_t kHeroesMax = 5;
constexpr size_t kHeroesLookedAt = 1000;      // members
constexpr size_t kTimelinePageMax = 21;       // entries read at once: most responses need one page
constexpr size_t kTimelineScannedMax = 5000;  // events that a filter leaves out
constexpr size_t kOwedScannedMax = 1000;      // events behind one that owes state

}  // namespace

RoomEvents::RoomEvents(EventsQuery query, const rooms::RoomSource& rooms,
                       const rooms::RoomReader& reader, const rooms::ReaderOf& of)
    : query_(query), request_(query.request), rooms_(rooms), reader_(reader), of_(of) {}

// "'federation' will return the raw event as received over federation."
Status RoomEvents::append_pdu(stores::EventNumber number, const rooms::ShownEvent& event,
                              std::string& out) const {
  POLDER_TRY(const auto held, reader_.view().load(number));
  POLDER_TRY(const bool erased, reader_.is_erased(*held.event));
  POLDER_TRY(const Membership then,
             reader_.membership_at(event.state_after(), request_.user.view()));
  if (!erased || then == Membership::kJoin) {
    out.append(held.event->json());
    return {};
  }
  POLDER_TRY(const auto redacted, events::redacted(*held.event));
  out.append(redacted->json());
  return {};
}

Status RoomEvents::append(stores::EventNumber number, const rooms::ShownEvent& event,
                          std::string& out) const {
  if (request_.filter->federation_format) return append_pdu(number, event, out);
  RoomReader::ClientOptions options;
  options.with_room_id = false;
  std::optional<std::string> transaction;
  if (event.sender() == request_.user.view()) {
    POLDER_TRY(transaction,
               stores::read_event_transaction(reader_.snapshot(), request_.number, request_.device,
                                              EventId::trusted(std::string(event.id()))));
    if (transaction) options.transaction_id = *transaction;
  }
  return reader_.append_client_event(of_, number, event, options, out);
}

Status RoomEvents::write_event(json::Writer& writer, stores::EventNumber number,
                               const rooms::ShownEvent& event) {
  event_text_.clear();
  POLDER_CHECK(append(number, event, event_text_));
  writer.raw(event_text_);
  return {};
}

bool RoomEvents::is_ignored(const rooms::ShownEvent& event) const {
  return of_.hides(event.sender(), event.is_state());
}

// What was missed between two servers is paged: a timeline has no holes. Local messages are built
// on what is here.
Result<bool> RoomEvents::is_after_gap(stores::EventNumber number,
                                      const rooms::ShownEvent& event) const {
  const size_t server = event.sender().find(':');
  const bool local = server != std::string_view::npos &&
                     event.sender().substr(server + 1) == rooms_.own_name.view();
  const bool follows_purged = event.depth() <= reader_.head().record.history_from;
  if (local && event.type() != "m.room.member" && !follows_purged) return false;
  POLDER_TRY(const auto held, reader_.view().load(number));
  return rooms::has_gap_before(reader_, held);
}

Result<RoomEvents::Timeline> RoomEvents::read_timeline(std::optional<kv::Position> from,
                                                       kv::Position to) const {
  Timeline timeline;
  kv::Position first = 0;
  const Filter& filter = *request_.filter;
  const bool wanted = filter.timeline.allows_room(reader_.head().record.id.view());
  const size_t page = std::min(filter.timeline_limit + 1, kTimelinePageMax);
  for (size_t scanned = 0; wanted && !timeline.limited; scanned += page) {
    POLDER_TRY(const auto entries, reader_.timeline_backwards(from.value_or(0), to, page));
    for (const stores::TimelineEntry& entry : entries) {
      POLDER_TRY(auto event, reader_.shown(entry.number));
      // What comes before an event that the user may not see is paged, if they may.
      POLDER_TRY(const bool visible, reader_.visible(of_, *event));
      timeline.limited = !visible;
      if (timeline.limited) break;
      bool shown = filter.timeline.allows(*event) && !is_ignored(*event);
      if (shown) {
        POLDER_TRY(shown, filter.timeline.allows_related(reader_, event->id()));
      }
      timeline.limited = shown && timeline.events.size() == filter.timeline_limit;
      if (timeline.limited) break;
      POLDER_TRY(timeline.limited, is_after_gap(entry.number, *event));
      timeline.begins_after_gap = shown && timeline.limited;
      if (shown) {
        timeline.events.emplace_back(entry.number, std::move(event));
        first = entry.position;
      }
      if (timeline.limited) break;
    }
    if (entries.size() < page) break;
    to = entries.back().position - 1;
    if (scanned > kTimelineScannedMax) timeline.limited = true;
  }
  std::ranges::reverse(timeline.events);
  if (timeline.events.empty()) return timeline;
  POLDER_TRY(timeline.states, states_of(timeline));
  if (timeline.begins_after_gap) {
    // What changed in the gap is known by what holds after it.
    timeline.state_before = timeline.events.front().second->room_state();
    return timeline;
  }
  POLDER_TRY(timeline.state_before, state_at(reader_, first - 1));
  // The first event that this server knows has the state that it came with.
  if (timeline.state_before->node == 0)
    timeline.state_before = timeline.events.front().second->state_before();
  return timeline;
}

Result<RoomEvents::States> RoomEvents::states_of(const Timeline& timeline) const {
  States states;
  for (const auto& [number, event] : timeline.events) {
    if (!event->is_state()) continue;
    POLDER_TRY(const auto key, reader_.view().state_key(event->type(), event->state_key()));
    if (key) states[*key] = number;
  }
  return states;
}

// A client takes the last state event of a timeline for what holds. One that came late and lost the
// resolution does not; the winner is told with the next response, since a timeline goes over the
// state of its own.
Status RoomEvents::note_owed(const Timeline& timeline, stores::StateRoot end) {
  for (const auto& [key, last] : timeline.states) {
    POLDER_TRY(const auto holds, stores::state_get(reader_.view().nodes(), end, key));
    if (!holds || *holds == last) continue;
    const auto event =
        std::ranges::find(timeline.events, last, [](const auto& e) { return e.first; });
    const kv::Position position = event->second->position();
    owes_from_ = owes_from_ == 0 ? position : std::min(owes_from_, position);
  }
  return {};
}

// What holds at the end of a timeline that does not say so: state that a resolution brought back,
// or that a filter kept out of it; and what an earlier timeline said wrongly.
Result<RoomEvents::States> RoomEvents::not_by_timeline(std::optional<kv::Position> from,
                                                       stores::StateRoot end,
                                                       const Timeline& timeline) const {
  States states;
  if (timeline.state_before) {
    POLDER_TRY(const auto differences,
               stores::state_diff(reader_.view().nodes(), *timeline.state_before, end));
    for (const stores::StateDifference& difference : differences) {
      if (difference.after && !timeline.states.contains(difference.key))
        states.emplace(difference.key, *difference.after);
    }
  }
  if (from && query_.owed_from != 0) POLDER_CHECK(add_owed(*from, end, timeline, states));
  return states;
}

// From the first event that owes on, however many of those after it a filter left out.
Status RoomEvents::add_owed(kv::Position from, stores::StateRoot end, const Timeline& timeline,
                            States& states) const {
  POLDER_TRY(const stores::StateRoot then, state_at(reader_, from));
  POLDER_TRY(const auto entries,
             reader_.timeline_backwards(query_.owed_from - 1, from, kOwedScannedMax));
  for (const stores::TimelineEntry& entry : entries) {
    POLDER_TRY(const auto event, reader_.shown(entry.number));
    if (!event->is_state()) continue;
    POLDER_TRY(const auto key, reader_.view().state_key(event->type(), event->state_key()));
    if (!key || timeline.states.contains(*key)) continue;
    POLDER_TRY(const auto held, stores::state_get(reader_.view().nodes(), then, *key));
    if (!held || *held == entry.number) continue;
    POLDER_TRY(const auto holds, stores::state_get(reader_.view().nodes(), end, *key));
    if (holds) states.emplace(*key, *holds);
  }
  return {};
}

Result<bool> RoomEvents::write(json::Writer& writer, std::optional<kv::Position> from,
                               kv::Position to) {
  POLDER_TRY(const Timeline timeline, read_timeline(from, to));
  writer.key("timeline").begin_object().key("events").begin_array();
  for (const auto& [number, event] : timeline.events)
    POLDER_CHECK(write_event(writer, number, *event));
  // A client may have an older timeline of a room that was entered since; this one does not go on
  // from there.
  const bool entered = !query_.initial && !from;
  writer.end_array().member("limited", timeline.limited || entered);
  const kv::Position before =
      timeline.events.empty() ? to : timeline.events.front().second->position() - 1;
  writer.member("prev_batch", std::string_view(stream_token(before))).end_object();
  POLDER_TRY(const size_t state, write_state(writer, from, to, timeline));
  return !timeline.events.empty() || timeline.limited || state > 0;
}

Result<size_t> RoomEvents::write_state(json::Writer& writer, std::optional<kv::Position> from,
                                       kv::Position to, const Timeline& timeline) {
  POLDER_TRY(const stores::StateRoot end, state_at(reader_, to));
  const stores::StateRoot target =
      request_.use_state_after ? end : timeline.state_before.value_or(end);
  stores::StateRoot known;
  if (from && !request_.full_state) {
    POLDER_TRY(known, state_told(reader_, *from));
  }
  const std::string_view name = !request_.use_state_after       ? "state"
                                : request_.unstable_state_after ? "org.matrix.msc4222.state_after"
                                                                : "state_after";
  States instead;
  if (!request_.use_state_after) {
    POLDER_TRY(instead, not_by_timeline(from, end, timeline));
    POLDER_CHECK(note_owed(timeline, end));
  }
  writer.key(name).begin_object().key("events").begin_array();
  POLDER_TRY(const size_t written,
             write_state_changes(writer, known, target, timeline, std::move(instead)));
  writer.end_array().end_object();
  return written;
}

Result<uint32_t> RoomEvents::member_type() const {
  POLDER_TRY(const auto type,
             reader_.view().names().find(stores::NameKind::kType, "m.room.member"));
  return static_cast<uint32_t>(type.value_or(0));
}

// "By default, members that were sent before are not sent again": include_redundant_members.
// https://spec.matrix.org/v1.19/client-server-api/#lazy-loading-room-members
bool RoomEvents::knows(stores::StateKey key, stores::EventNumber event) const {
  if (query_.sent == nullptr || request_.filter->include_redundant_members) return false;
  return query_.sent->has(reader_.head().number, key.key, event);
}

void RoomEvents::note_sent(stores::StateKey key, stores::EventNumber event) {
  if (query_.sent != nullptr) query_.sent->add(reader_.head().number, key.key, event, query_.at);
}

// Whose members a client needs: senders in the timeline, and the user. By state key.
Result<std::map<uint64_t, std::string_view>> RoomEvents::members_needed(
    const Timeline& timeline) const {
  std::set<std::string_view> users;
  users.insert(request_.user.view());
  for (const auto& [number, event] : timeline.events)
    users.insert(event->sender());
  std::map<uint64_t, std::string_view> needed;
  for (const std::string_view user : users) {
    POLDER_TRY(const auto key, reader_.view().names().find(stores::NameKind::kStateKey, user));
    if (key) needed.emplace(*key, user);
  }
  return needed;
}

Result<bool> RoomEvents::write_change(json::Writer& writer, stores::StateKey key,
                                      stores::EventNumber number, uint32_t member_type) {
  POLDER_TRY(const auto event, reader_.shown(number));
  if (!request_.filter->state.allows(*event)) return false;
  POLDER_CHECK(write_event(writer, number, *event));
  if (key.type == member_type) note_sent(key, number);
  return true;
}

// What the user's client lacks between a state that it knows and the one at the timeline's start
// (or, with state_after, at its end); of some keys, what is told instead. With lazy loading,
// members only where they matter: senders in the timeline, and whoever changed.
Result<size_t> RoomEvents::write_state_changes(json::Writer& writer, stores::StateRoot known,
                                               stores::StateRoot target, const Timeline& timeline,
                                               States instead) {
  size_t written = 0;
  const bool lazy = request_.filter->lazy_load_members;
  POLDER_TRY(const uint32_t member_type, this->member_type());
  std::map<uint64_t, std::string_view> needed;
  if (lazy) {
    POLDER_TRY(needed, members_needed(timeline));
  }
  POLDER_TRY(const auto differences, stores::state_diff(reader_.view().nodes(), known, target));
  const bool initial = known.node == 0;
  // After a gap, the state is the one that the first event left.
  std::optional<stores::EventNumber> told;
  if (timeline.begins_after_gap && !request_.use_state_after) told = timeline.events[0].first;
  const auto change = [&](stores::StateKey key, stores::EventNumber number) -> Status {
    if (number == told) return {};
    if (lazy && key.type == member_type) {
      const bool sender = needed.erase(key.key) > 0;
      if (initial && !sender) return {};
    }
    POLDER_TRY(const bool shown, write_change(writer, key, number, member_type));
    written += shown ? 1 : 0;
    return {};
  };
  for (const stores::StateDifference& difference : differences) {
    const auto other = instead.extract(difference.key);
    const auto number = other ? std::optional(other.mapped()) : difference.after;
    if (number) POLDER_CHECK(change(difference.key, *number));
  }
  for (const auto& [key, number] : instead)
    POLDER_CHECK(change(key, number));
  // Senders whose membership did not change, if the client was not told of them before.
  for (const auto& [key, user] : needed) {
    if (user == request_.user.view() && !initial) continue;
    POLDER_TRY(const auto number,
               stores::state_get(reader_.view().nodes(), target, {member_type, key}));
    if (!number || knows({member_type, key}, *number)) continue;
    POLDER_TRY(const auto event, reader_.shown(*number));
    POLDER_CHECK(write_event(writer, *number, *event));
    note_sent({member_type, key}, *number);
    ++written;
  }
  return written;
}

// https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3sync (RoomSummary): "the first
// 5 members of the room, ordered by stream ordering, which are joined or invited. The list must
// never include the client's own user ID. When no joined or invited members are available, this
// should consist of the banned and left users."
Result<json::Array> RoomEvents::heroes() const {
  POLDER_TRY(auto members, reader_.state_events(reader_.head().record.state, "m.room.member"));
  std::ranges::sort(members);  // as they came
  json::Array heroes, gone;
  size_t looked_at = 0;
  for (const stores::EventNumber number : members) {
    if (heroes.size() == kHeroesMax || ++looked_at > kHeroesLookedAt) break;
    POLDER_TRY(const auto event, reader_.shown(number));
    if (event->state_key() == request_.user.view()) continue;
    const Membership membership = event->membership();
    if (membership == Membership::kJoin || membership == Membership::kInvite) {
      heroes.emplace_back(event->state_key());
    } else if (gone.size() < kHeroesMax && membership != Membership::kNone) {
      gone.emplace_back(event->state_key());
    }
  }
  return heroes.empty() ? std::move(gone) : std::move(heroes);
}

}  // namespace polder::sync
