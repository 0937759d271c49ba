#include "homeserver/rooms/model/room_view.h"

#include <algorithm>

#include "homeserver/protocol/events/signing.h"
#include "homeserver/rooms/model/shown_event.h"

namespace polder::rooms {
namespace {

// Of the whole, in parts of 16: most for what clients are shown, of which there is most.
constexpr size_t kNodesPart = 4;
constexpr size_t kEventsPart = 1;
constexpr size_t kChainsPart = 2;
constexpr size_t kShownPart = 8;
constexpr size_t kResolutionsPart = 1;

// An event takes its text, the same as a tree, and what was taken out of it.
constexpr size_t kEventBytes = 1024;
constexpr size_t kTreeBytes = 4;  // of a byte of text

}  // namespace

Caches::Caches(size_t bytes_max)
    : nodes(bytes_max / 16 * kNodesPart),
      events(bytes_max / 16 * kEventsPart),
      chains(bytes_max / 16 * kChainsPart),
      shown(bytes_max / 16 * kShownPart),
      resolutions(bytes_max / 16 * kResolutionsPart) {}

void keep_event(Caches& caches, RoomNumber room, EventNumber number, events::EventPtr event) {
  const size_t bytes = kEventBytes + event->json().size() * (1 + kTreeBytes);
  caches.events.insert(room, number, std::move(event), bytes);
}

Result<std::optional<EventNumber>> RoomView::find(const EventId& id) const {
  if (const auto pending = room_.pending_ids.find(id); pending != room_.pending_ids.end()) {
    return std::optional(pending->second);
  }
  if (const auto kept = room_.kept.find(id)) return kept;
  POLDER_TRY(const auto place, stores::find_event(snapshot_, id));
  if (!place || place->room != room_.number) return std::optional<EventNumber>();
  return std::optional(place->number);
}

Result<HeldEvent> RoomView::load(EventNumber number) const {
  if (const auto pending = room_.pending.find(number); pending != room_.pending.end())
    return pending->second;
  if (const HeldEvent* kept = redactions_ ? nullptr : room_.kept.find(number)) return *kept;
  if (const auto held = loaded_.find(number); held != loaded_.end()) return held->second;
  POLDER_TRY(auto record, stores::read_event_record(snapshot_, {room_.number, number}));
  if (!record) return fail(ErrorCode::kCorrupt, "an event that is referred to is not there");
  POLDER_TRY(auto event, load_event(number));
  HeldEvent held{std::move(event), *std::move(record)};
  if (redactions_) {
    POLDER_TRY(held.redaction, redactions_->find(number));
  }
  if (held.redaction) {
    POLDER_TRY(held.event, events::redacted(*held.event));
  }
  loaded_.emplace(number, held);
  return held;
}

Result<events::EventPtr> RoomView::load_event(EventNumber number) const {
  if (auto cached = caches_.events.find(room_.number, number)) return cached;
  POLDER_TRY(const auto json, stores::read_event_json(snapshot_, {room_.number, number}));
  if (!json) return fail(ErrorCode::kCorrupt, "an event that is referred to is not there");
  POLDER_TRY(auto event, events::Event::parse(*json, *room_.rules));
  if (event->is_state()) keep_event(caches_, room_.number, number, event);
  return event;
}

Result<std::optional<stores::EventRecord>> RoomView::find_record(EventNumber number) const {
  if (const auto pending = room_.pending.find(number); pending != room_.pending.end())
    return std::optional(pending->second.record);
  if (const HeldEvent* kept = room_.kept.find(number)) return std::optional(kept->record);
  if (const auto held = loaded_.find(number); held != loaded_.end())
    return std::optional(held->second.record);
  return stores::read_event_record(snapshot_, {room_.number, number});
}

Result<stores::EventRecord> RoomView::record(EventNumber number) const {
  POLDER_TRY(auto record, find_record(number));
  if (!record) return fail(ErrorCode::kCorrupt, "an event that is referred to is not there");
  return *std::move(record);
}

Result<std::optional<stores::StateKey>> RoomView::state_key(std::string_view type,
                                                            std::string_view key) const {
  POLDER_TRY(const auto type_number, names_.find(stores::NameKind::kType, type));
  POLDER_TRY(const auto key_number, names_.find(stores::NameKind::kStateKey, key));
  if (!type_number || !key_number) return std::optional<stores::StateKey>();
  return std::optional(stores::StateKey{static_cast<uint32_t>(*type_number), *key_number});
}

Result<std::optional<EventNumber>> RoomView::state_number(stores::StateRoot root,
                                                          std::string_view type,
                                                          std::string_view key) const {
  POLDER_TRY(const auto wanted, state_key(type, key));
  if (!wanted) return std::optional<EventNumber>();
  return stores::state_get(nodes_, root, *wanted);
}

Result<events::EventPtr> RoomView::state_event(stores::StateRoot root, std::string_view type,
                                               std::string_view key) const {
  POLDER_TRY(const auto number, state_number(root, type, key));
  if (!number) return events::EventPtr();
  POLDER_TRY(auto held, load(*number));
  return std::move(held.event);
}

Result<events::EventPtr> RoomView::event(dag::EventNumber number) {
  POLDER_TRY(auto held, load(number));
  return std::move(held.event);
}

Status RoomView::auth_events(dag::EventNumber number, std::vector<dag::EventNumber>& out) {
  POLDER_TRY(const auto found, record(number));
  out.insert(out.end(), found.auth_events.begin(), found.auth_events.end());
  return {};
}

Result<bool> RoomView::is_rejected(dag::EventNumber number) {
  POLDER_TRY(const auto found, record(number));
  return found.standing.rejected;
}

// Rejected events begin chains of their own, so that they break no other. What is no state, only a
// rejected event names among its auth events.
Result<dag::NewChainPlace> RoomView::choose_place(EventNumber number, const HeldEvent& held) {
  std::vector<EventNumber> auth_events;
  EventNumber before = 0;
  for (const EventNumber auth : held.record.auth_events) {
    POLDER_TRY(const HeldEvent found, load(auth));
    if (!found.event->is_state()) continue;
    auth_events.push_back(auth);
    if (held.record.standing.rejected ||
        !found.event->is_state(held.event->type(), *held.event->state_key()))
      continue;
    POLDER_TRY(const bool is_end, chains_.is_end(auth));
    if (is_end) before = std::max(before, auth);
  }
  return dag::choose_chain_place(number, before, auth_events, chains_);
}

}  // namespace polder::rooms
