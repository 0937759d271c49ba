// Rows from which unread counts are computed (docs/architecture.md, decision 4). An event writes no
// row for a member, save for those whom it highlights and for its own sender.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "storage/kv/kv.h"
#include "storage/stores/base/names.h"

namespace polder::stores {

// Events that notify by the default push rules, outside of threads: the number of each of its room,
// from 1 on without gaps.
void put_notifying(kv::Batch& batch, RoomNumber room, kv::PositionSlot slot, uint64_t number);
// The number of the last one with position <= up_to, or the one before the first there is: what
// came before that was purged. 0 if there is none.
Result<uint64_t> read_notifying(const kv::Snapshot& snapshot, RoomNumber room, kv::Position up_to);
// Whether the event at a position is one of them.
Result<bool> is_notifying(const kv::Snapshot& snapshot, RoomNumber room, kv::Position position);

// Where in a room, and in which of its threads: "main", or the id of the thread's root.
struct ThreadPlace {
  kv::Position position = 0;
  std::string thread;
};
// Events that notify by the default push rules, in threads.
void put_notifying_in_thread(kv::Batch& batch, RoomNumber room, kv::PositionSlot slot,
                             std::string_view thread);
// Those of from < position <= to, newest first, at most limit.
Result<std::vector<ThreadPlace>> read_notifying_in_threads(const kv::Snapshot& snapshot,
                                                           RoomNumber room, kv::Position from,
                                                           kv::Position to, size_t limit);

// Events that highlight for a user by the default push rules; user 0: for every member.
struct Highlight {
  ThreadPlace place;
  bool notifies_all = false;  // it is among the events that notify, too
};
void put_highlight(kv::Batch& batch, RoomNumber room, UserNumber user, kv::PositionSlot slot,
                   std::string_view thread, bool notifies_all);
// Those of from < position <= to, newest first, at most limit.
Result<std::vector<Highlight>> read_highlights(const kv::Snapshot& snapshot, RoomNumber room,
                                               UserNumber user, kv::Position from, kv::Position to,
                                               size_t limit);

// What an event at the position notifies of; highlights go with erase_highlights().
void erase_notifying(kv::Batch& batch, RoomNumber room, kv::Position position);
// Erases highlights of events that are gone, looking at some thousand rows from the cursor on,
// which begins empty. Whether there are more.
Result<bool> erase_highlights(const kv::Snapshot& snapshot, kv::Batch& batch, RoomNumber room,
                              std::string& cursor);

// Up to where a user has read without a receipt: by sending an event (in its thread), and by
// joining (empty thread: everywhere).
void put_read_up_to(kv::Batch& batch, RoomNumber room, UserNumber user, std::string_view thread,
                    kv::PositionSlot slot);
// 0 if there is nothing.
Result<kv::Position> read_read_up_to(const kv::Snapshot& snapshot, RoomNumber room, UserNumber user,
                                     std::string_view thread);

}  // namespace polder::stores
