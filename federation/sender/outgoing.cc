#include "federation/sender/outgoing.h"

#include "homeserver/protocol/events/event.h"
#include "homeserver/protocol/events/room_version.h"
#include "homeserver/rooms/read/federation_reader.h"
#include "storage/stores/federation/federation_rows.h"
#include "storage/stores/rooms/partial_rows.h"

namespace polder::sender {
namespace {

constexpr size_t kPageEvents = 200;

bool is_sent(const stores::Standing& standing) {
  return !standing.outlier && !standing.rejected && !standing.soft_failed && !standing.backfilled;
}

// A join by way of another server, which passes it on: it builds on events whose place in the room
// is not known here.
Result<bool> came_from_elsewhere(const kv::Snapshot& snapshot, stores::RoomNumber room,
                                 const events::Event& event, const stores::EventRecord& record) {
  if (event.membership() != "join") return false;
  if (record.prev_events.size() != event.prev_events().size()) return true;
  for (const stores::EventNumber number : record.prev_events) {
    POLDER_TRY(const auto prev, stores::read_event_record(snapshot, {room, number}));
    if (!prev || prev->standing.outlier) return true;
  }
  return false;
}

}  // namespace

Result<OutgoingPage> OutgoingReader::read(kv::Position from, kv::Position to) {
  const auto snapshot = database_.snapshot();
  POLDER_TRY(const feed::Page stream,
             feed::read_page(*snapshot, {feed::Stream::kEvents}, from, to, kPageEvents));
  return read(*snapshot, stream);
}

Result<OutgoingPage> OutgoingReader::read(const kv::Snapshot& snapshot, const feed::Page& stream) {
  OutgoingPage page;
  page.read_to = stream.to;
  for (const feed::Entry& row : stream.entries) {
    POLDER_TRY(const auto entry, stores::stream_event_of(row.position, row.value));
    auto event = outgoing(snapshot, entry);
    if (!event.ok() && event.error().code == ErrorCode::kCorrupt) {
      ++page.damaged;  // one damaged room must not hold up all others
      continue;
    }
    if (!event.ok()) return std::move(event).error();
    if (*event) page.events.push_back(**std::move(event));
  }
  return page;
}

// The server of a user whose invite or knock the event ends: it learns of it, though it may not be
// in the room. One that has nothing to end is told nothing: it may never have heard of the room.
Result<std::optional<ServerName>> OutgoingReader::asked_server(
    const kv::Snapshot& snapshot, stores::RoomNumber room, const events::Event& event,
    const stores::EventRecord& record) const {
  const std::optional<ServerName> nobody;
  if (event.membership() != "leave" && event.membership() != "ban") return nobody;
  const auto target = UserId::parse(event.state_key().value_or(""));
  if (!target.ok()) return nobody;
  POLDER_TRY(const bool asked,
             servers_.is_asked(snapshot, room, record.state_before, target->view()));
  if (!asked) return nobody;
  return std::optional(ServerName::trusted(std::string(target->server())));
}

Result<std::optional<OutgoingEvent>> OutgoingReader::outgoing(const kv::Snapshot& snapshot,
                                                              const stores::StreamEvent& entry) {
  const std::optional<OutgoingEvent> nothing;
  POLDER_TRY(const auto record, stores::read_event_record(snapshot, entry.place));
  if (!record || !is_sent(record->standing)) return nothing;
  // Most events are no state, and most rooms have no other server: those need not be read.
  if (record->state_after == record->state_before && !record->standing.partial) {
    POLDER_TRY(const bool alone,
               servers_.is_only(snapshot, entry.place.room, record->state_before, own_name_));
    if (alone) return nothing;
  }
  POLDER_TRY(const auto room, stores::read_room(snapshot, entry.place.room));
  // A room that was purged meanwhile leaves entries without rows.
  if (!room) return nothing;
  const events::RoomVersionRules* rules = events::find_room_version(room->version);
  if (rules == nullptr) return nothing;
  POLDER_TRY(auto json, rooms::visible_pdu(snapshot, entry.place, *rules));
  if (!json) return nothing;
  const auto parsed = events::Event::parse(*json, *rules);
  if (!parsed.ok()) return fail(ErrorCode::kCorrupt, parsed.error().message);
  const events::EventPtr& event = *parsed;
  OutgoingEvent out;
  const bool local = event->sender().server() == own_name_.view();
  if (local) {
    POLDER_TRY(const bool elsewhere,
               came_from_elsewhere(snapshot, entry.place.room, *event, *record));
    if (elsewhere) return nothing;
  } else {
    if (!event->is("m.room.member")) return nothing;
    POLDER_TRY(const bool forward, stores::is_forward(snapshot, event->id()));
    if (!forward) return nothing;
    out.forwarded = event->id();
  }
  POLDER_TRY(out.destinations, servers_.at(snapshot, entry.place.room, record->state_before));
  // Members that are not known yet may be of these.
  if (record->standing.partial) {
    POLDER_TRY(const auto origins, stores::read_partial_origins(snapshot, entry.place.room));
    for (const auto& [number, origin] : origins)
      out.destinations.insert(origin.servers.begin(), origin.servers.end());
  }
  POLDER_TRY(const auto asked, asked_server(snapshot, entry.place.room, *event, *record));
  if (asked) out.destinations.insert(*asked);
  out.destinations.erase(own_name_);
  out.destinations.erase(ServerName::trusted(std::string(event->sender().server())));
  out.position = entry.position;
  out.pdu = std::make_shared<const std::string>(*std::move(json));
  return std::optional(std::move(out));
}

}  // namespace polder::sender
