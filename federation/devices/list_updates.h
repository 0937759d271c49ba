// Tells other servers of changes of local users' devices and keys.
// https://spec.matrix.org/v1.19/server-server-api/#device-management
//
// Follows the streams of device list changes and of users who enter rooms; each change goes to the
// servers that share a room with the user.
// A user's changes of devices are one sequence: the stream_id of each is its position, its prev_id
// the position of the one before. A server that has not got that one (it shared no room then, or
// was not told because there was too much to tell) asks for the whole list.
//
// Servers that a user meets by entering a room are told once, of one device, with the position of
// the event for stream_id: as the change before is none that they know, they ask for the list. It
// is no part of the sequence, so servers that know the user miss nothing.
//
// What survives a crash: up to where it is known whom to tell, which is the cursor of the follower,
// and for each server that was not told of everything, up to where it was. Both are written lazily
// and in one batch, so that after a crash changes are at worst told again.
#pragma once

#include <map>
#include <set>
#include <vector>

#include "federation/devices/parts.h"
#include "storage/feed/follower.h"
#include "storage/stores/users/key_rows.h"

namespace polder::devices {

inline constexpr size_t kChangesToldMax = 100;  // of one server; of more, only each user's last

// Lives on shard 0. Outlives its tasks.
class ListUpdates final : public sender::EduSource, private feed::Consumer {
 public:
  explicit ListUpdates(Parts parts);

  // Reads where it left off, and begins. Synchronous; before the sender starts.
  Status start();

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

  // feed::Consumer
  Result<Work> read(const kv::Snapshot& snapshot, const feed::Page& stream) override;
  void save(kv::Batch& batch, bool all) override;

  static Result<Log> log_of(const feed::Page& stream);
  Result<HandedOut> destinations_of(const kv::Snapshot& snapshot, const Log& log) const;
  Task<Status> hand_out(std::shared_ptr<const HandedOut> page);
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

  const Parts parts_;
  kv::Position handed_out_ = 0;
  std::map<ServerName, kv::Position> backlogs_;  // up to where each that waits was told
  std::set<ServerName> dirty_;                   // whose row is to be written
  std::vector<stores::RoomEntry> settled_;       // of which nobody is to be told
  std::vector<stores::RoomEntry> entries_;       // handed out: gone once nobody waits
  feed::Follower follower_;
};

}  // namespace polder::devices
