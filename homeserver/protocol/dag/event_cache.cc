#include "homeserver/protocol/dag/event_cache.h"

#include "homeserver/protocol/dag/power_levels.h"

namespace polder::dag {

using events::Event;

Status EventCache::read(Slot slot) {
  POLDER_TRY(entries_[slot].event, source_.event(number_of(slot)));
  return {};
}

// The auth events are read, too: whoever follows links wants to know what they lead to.
Status EventCache::read_auth_events(Slot slot) {
  const EventNumber number = number_of(slot);
  numbers_.clear();
  POLDER_CHECK(source_.auth_events(number, numbers_));
  const std::span<Slot> slots(
      std::pmr::polymorphic_allocator<Slot>(memory()).allocate(numbers_.size()), numbers_.size());
  std::optional<Slot> power_levels;
  for (size_t i = 0; i < slots.size(); ++i) {
    if (numbers_[i] >= number)
      return fail(ErrorCode::kCorrupt, "an auth event is newer than its event");
    slots[i] = slot_of(numbers_[i]);
    if (!entries_[slots[i]].event) POLDER_CHECK(read(slots[i]));
    if (!power_levels && known_event(slots[i]).is_state("m.room.power_levels", ""))
      power_levels = slots[i];
  }
  Entry& entry = entries_[slot];
  entry.auth_events = slots;
  entry.power_levels = power_levels;
  entry.has_auth_events = true;
  return {};
}

Result<const Event*> EventCache::read_accepted_event(Slot slot) {
  if (entries_[slot].standing == Standing::kUnknown) {
    POLDER_TRY(const bool rejected, source_.is_rejected(number_of(slot)));
    entries_[slot].standing = rejected ? Standing::kRejected : Standing::kAccepted;
  }
  if (entries_[slot].standing == Standing::kRejected) return static_cast<const Event*>(nullptr);
  return event(slot);
}

Result<std::optional<Slot>> EventCache::auth_event(Slot slot, events::StateKeyView key) {
  POLDER_TRY(const auto auth_events, this->auth_events(slot));
  for (const Slot auth : auth_events) {
    if (known_event(auth).is_state(key.type, key.key)) return std::optional(auth);
  }
  return std::optional<Slot>();
}

Result<std::optional<Slot>> EventCache::create_event(Slot slot) {
  if (create_) return create_;
  POLDER_TRY(const Event* event, this->event(slot));
  if (event->is_state("m.room.create", "")) {
    create_ = slot;
  } else if (event->rules().room_id_is_create_hash) {
    POLDER_TRY(const auto number, source_.number_of(create_event_id(event->room_id())));
    if (number) create_ = slot_of(*number);
  } else {
    POLDER_TRY(create_, auth_event(slot, {"m.room.create", ""}));
  }
  return create_;
}

}  // namespace polder::dag
