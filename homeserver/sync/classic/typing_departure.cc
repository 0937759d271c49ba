#include "homeserver/sync/classic/typing_departure.h"

namespace polder::sync {

void TypingDeparture::committed(const rooms::StoredEvent& event, rooms::Verdict,
                                const std::vector<rooms::StateChange>& changes) {
  for (const rooms::StateChange& change : changes) {
    if (change.type != "m.room.member") continue;
    if (change.after && change.after->membership() == "join") continue;
    const auto user = UserId::parse(change.key);
    if (user.ok()) typing_.clear(event.place.room, *user);
  }
}

}  // namespace polder::sync
