// Tells other servers of changes of local users' devices and keys.
// https://spec.matrix.org/v1.19/server-server-api/#device-management
//
// Follows the log of device list changes; each goes to the servers that share a room with the user.
// A user's changes of devices are one sequence: the stream_id of each is its position, its prev_id
// the position of the one before. A server that has not got that one (it shared no room then, or
// was not told because there was too much to tell) asks for the whole list.
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
#include "homeserver/runtime/sync.h"
#include "storage/stores/key_rows.h"

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
  struct HandedOut {
    std::map<ServerName, kv::Position> first;  // change for each server
    kv::Position read_to = 0;
  };
  struct Page {
    std::vector<wire::Edu> edus;
    kv::Position told = 0;  // once they are delivered
  };

  Task<void> notify();
  Task<void> pump();
  Task<Status> hand_out();
  Result<HandedOut> read_destinations(kv::Position from, kv::Position to) const;
  Result<Page> read_page(const ServerName& destination, kv::Position from, kv::Position to,
                         size_t limit) const;
  Result<std::vector<stores::DeviceListChange>> changes_for(
      const kv::Snapshot& snapshot, const ServerName& destination,
      const std::vector<stores::DeviceListChange>& log) const;
  Result<std::optional<UserId>> local_user(stores::UserNumber number) const;
  Result<wire::Edu> edu_of(const kv::Snapshot& snapshot,
                           const stores::DeviceListChange& change) const;
  void told(const ServerName& destination, kv::Position position);
  void persist();

  const Parts parts_;
  kv::Position handed_out_ = 0;
  std::map<ServerName, kv::Position> backlogs_;  // up to where each that waits was told
  std::set<ServerName> dirty_;                   // whose row is to be written
  bool again_ = true;
  std::atomic<bool> notified_ = false;
  runtime::Signal wake_;
};

}  // namespace polder::devices
