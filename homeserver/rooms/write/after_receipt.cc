// What a writer does about a room by itself, after an event of another server came.
#include <set>

#include "homeserver/rooms/model/local_members.h"
#include "homeserver/rooms/write/extremities.h"
#include "homeserver/rooms/write/writer.h"

namespace polder::rooms {
namespace {

constexpr size_t kLookedAtAgain = 20;    // soft-failed events, for one that builds on them
constexpr size_t kSendersTried = 5;      // to join the edge
constexpr Millis kJoiningPause{60'000};  // between two attempts
constexpr std::string_view kDummyType = "org.matrix.dummy_event";

// Soft-failed events that an accepted one builds on, through others like them; oldest first.
Result<std::vector<EventNumber>> soft_failed_below(const RoomView& view, EventNumber accepted) {
  std::set<EventNumber> found;
  std::vector<EventNumber> waiting(1, accepted);
  while (!waiting.empty() && found.size() < kLookedAtAgain) {
    POLDER_TRY(const auto record, view.record(waiting.back()));
    waiting.pop_back();
    for (const EventNumber prev : record.prev_events) {
      POLDER_TRY(const auto below, view.find_record(prev));
      if (below && below->standing.soft_failed && found.insert(prev).second)
        waiting.push_back(prev);
    }
  }
  return std::vector<EventNumber>(found.begin(), found.end());
}

}  // namespace

// An event that was soft-failed is none of this server's, but those who build on it think
// otherwise: once one of theirs is accepted, the current state may allow it after all.
Task<Status> RoomWriter::look_again_below(RoomNumber number, EventNumber accepted) {
  const RoomHeadPtr head = rooms_.head(number);
  RoomWriter* self = this;
  POLDER_CO_TRY(const auto events,
                co_await runtime::on_pool(parts_.runtime, [self, head, accepted] {
                  StoredRoom stored(self->source(), *head);
                  return soft_failed_below(stored.view(), accepted);
                }));
  for (const EventNumber event : events) {
    Rooms::Step step = [self, event](Room& room, const kv::Snapshot& snapshot) -> Result<Staged> {
      return stage_again(self->context_, room, snapshot, event);
    };
    const auto staged = co_await rooms_.change(number, std::move(step));
    const bool refused = !staged.ok() && (staged.error().code == ErrorCode::kForbidden ||
                                          staged.error().code == ErrorCode::kExists);
    if (!staged.ok() && !refused) co_return staged.error();
  }
  co_return Status();
}

void RoomWriter::join_extremities_later(Room& room) {
  if (room.record.extremities.size() < kJoinedExtremities || !room.record.local_joined) return;
  const auto now = parts_.runtime.clock().steady();
  if (now < room.joins_extremities_after) return;
  room.joins_extremities_after = now + kJoiningPause;
  runtime::spawn(parts_.runtime, parts_.runtime.shard(rooms_.shard_of(room.number)), "join_edge",
                 join_extremities(room.number));
}

// Many forks make every later event costly: one that says nothing has them all as its prev events.
Task<void> RoomWriter::join_extremities(RoomNumber number) {
  const RoomHeadPtr head = rooms_.head(number);
  RoomWriter* self = this;
  const auto members = co_await runtime::on_pool(parts_.runtime, [self, head] {
    StoredRoom stored(self->source(), *head, Content::kAsVisible);
    return local_members(stored.view(), self->parts_.own_name, head->record.state, kSendersTried);
  });
  if (!members.ok()) co_return;
  for (const UserId& member : *members) {
    LocalEvent event;
    event.sender = member;
    event.type = kDummyType;
    event.actor = policy::Server{parts_.own_name};
    const auto sent = co_await send_on_shard(number, std::move(event));
    if (sent.ok() || sent.error().code != ErrorCode::kForbidden) co_return;
  }
}

}  // namespace polder::rooms
