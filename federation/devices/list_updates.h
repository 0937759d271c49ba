// Tells other servers of changes of local users' devices and keys.
// https://spec.matrix.org/v1.19/server-server-api/#device-management
//
// Follows the log of device list changes; each goes to the servers that share a room with the user.
// A user's changes of devices are one sequence: the stream_id of each is its position, its prev_id
// the position of the one before. A server that has not got that one (it shared no room then, or
// was not told because there was too much to tell) asks for the whole list.
//
// Servers that a user meets by entering a room are told once, of one device, with the position of
// the event for stream_id: as the change before is none that they know, they ask for the list. It
// is no part of the sequence, so servers that know the user miss nothing.
//
// What survives a crash: up to where the log was handed out, and for each server that was not told
// of everything, up to where it was. Both are written lazily and in one batch, so that after a
// crash changes are at worst told again.
#pragma once

#include <atomic>
#include <map>
#include <set>
#include <vector>

#include "federation/devices/parts.h"
#include "homeserver/base/runtime/sync.h"
#include "storage/stores/users/key_rows.h"

namespace polder::devices {

inline constexpr size_t kChangesToldMax = 100;  // of one server; of more, only each user's last

// Lives on shard 0. Outlives its tasks.
class ListUpdates final : public sender::EduSource {
 public:
  explicit ListUpdates(Parts parts) : parts_(std::move(parts)), wake_(parts_.runtime) {}

  // Reads where it left off, and begins. Synchronous; before the sender starts.
  Status start();
  // Something was added to the log and committed. Thread-safe.
  void changed();

  // sender::EduSource
  Task<Result<sender::PendingEdus>> next(ServerName destination, size_t limit) override;
  Task<void> delivered(ServerName destination, uint64_t token) override;
  Task<std::vector<ServerName>> waiting() override;

 private:
  // What there is to tell between two positions.
  struct Log {
    std::vector<stores::DeviceListChange> changes;
    std::vector<stores::RoomEntry> entries;
    kv::Position read_to = 0;
  };
  struct HandedOut {
    std::map<ServerName, kv::Position> first;  // that each server is to be told of
    std::vector<stores::RoomEntry> entries;    // that some server is to be told of
    std::vector<stores::RoomEntry> settled;    // and those that none is
    kv::Position read_to = 0;
  };
  struct Page {
    std::vector<wire::Edu> edus;
    kv::Position told = 0;  // once they are delivered
  };

  Task<void> notify();
  Task<void> pump();
  Task<Status> hand_out();
  static Result<Log> read_log(const kv::Snapshot& snapshot, kv::Position from, kv::Position to);
  Result<HandedOut> read_destinations(kv::Position from, kv::Position to) const;
  Result<Page> read_page(const ServerName& destination, kv::Position from, kv::Position to,
                         size_t limit) const;
  Result<std::vector<stores::DeviceListChange>> changes_for(const kv::Snapshot& snapshot,
                                                            const ServerName& destination,
                                                            const Log& log) const;
  Status add_entries(const kv::Snapshot& snapshot, stores::ServerNumber server, const Log& log,
                     std::vector<stores::DeviceListChange>& changes) const;
  Result<std::optional<UserId>> local_user(stores::UserNumber number) const;
  Result<std::optional<wire::Edu>> sendable_edu(const kv::Snapshot& snapshot,
                                                const stores::DeviceListChange& change) const;
  Result<wire::Edu> edu_of(const kv::Snapshot& snapshot, const stores::DeviceListChange& change,
                           bool with_keys) const;
  void told(const ServerName& destination, kv::Position position);
  void persist(const std::vector<stores::RoomEntry>& settled = {});

  const Parts parts_;
  kv::Position handed_out_ = 0;
  std::map<ServerName, kv::Position> backlogs_;  // up to where each that waits was told
  std::set<ServerName> dirty_;                   // whose row is to be written
  std::vector<stores::RoomEntry> entries_;       // handed out: gone once nobody waits
  bool again_ = true;
  std::atomic<bool> notified_ = false;
  runtime::Signal wake_;
};

}  // namespace polder::devices
