#include "homeserver/dag/event_cache.h"

#include "homeserver/dag/power_levels.h"

namespace polder::dag {

using events::Event;

Result<const Event*> EventCache::event(EventNumber number) {
  Entry& entry = this->entry(number);
  if (!entry.event) {
    POLDER_TRY(entry.event, source_.event(number));
  }
  return entry.event.get();
}

Result<std::span<const EventNumber>> EventCache::auth_events(EventNumber number) {
  Entry& entry = this->entry(number);
  if (!entry.auth_events) {
    std::vector<EventNumber> auth_events;
    POLDER_CHECK(source_.auth_events(number, auth_events));
    for (EventNumber auth : auth_events) {
      if (auth >= number) return fail(ErrorCode::kCorrupt, "an auth event is newer than its event");
    }
    entry.auth_events = std::move(auth_events);
  }
  return std::span<const EventNumber>(*entry.auth_events);
}

Result<const Event*> EventCache::accepted_event(EventNumber number) {
  Entry& entry = this->entry(number);
  if (!entry.rejected) {
    POLDER_TRY(entry.rejected, source_.is_rejected(number));
  }
  if (*entry.rejected) return static_cast<const Event*>(nullptr);
  if (!entry.event) {
    POLDER_TRY(entry.event, source_.event(number));
  }
  return entry.event.get();
}

Result<std::optional<EventNumber>> EventCache::auth_event(EventNumber number,
                                                          events::StateKeyView key) {
  POLDER_TRY(auto auth_events, this->auth_events(number));
  for (EventNumber auth : auth_events) {
    POLDER_TRY(const Event* found, event(auth));
    if (found->is_state(key.type, key.key)) return std::optional(auth);
  }
  return std::optional<EventNumber>();
}

Result<std::optional<EventNumber>> EventCache::create_event(EventNumber number) {
  if (create_) return create_;
  POLDER_TRY(const Event* event, this->event(number));
  if (event->is_state("m.room.create", "")) {
    create_ = number;
  } else if (event->rules().room_id_is_create_hash) {
    POLDER_TRY(create_, source_.number_of(create_event_id(event->room_id())));
  } else {
    POLDER_TRY(create_, auth_event(number, {"m.room.create", ""}));
  }
  return create_;
}

}  // namespace polder::dag
