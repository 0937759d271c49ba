// Messages to devices of other servers' users: a durable queue for each server, emptied by the
// sender. https://spec.matrix.org/v1.19/server-server-api/#send-to-device-messaging
#pragma once

#include <map>
#include <string>
#include <vector>

#include "federation/devices/parts.h"
#include "homeserver/base/values/mutex.h"

namespace polder::devices {

inline constexpr size_t kQueuedMessagesMax = 10'000;  // for one server; then the oldest make way

// Thread-safe, but for what the sender calls.
class OutgoingMessages final : public sender::EduSource {
 public:
  explicit OutgoingMessages(Parts parts) : parts_(std::move(parts)) {}

  // Synchronous; before the sender starts.
  Status start();

  // What goes where.
  struct Prepared {
    json::Object local;                    // messages to local users
    kv::Batch batch;                       // rows of the rest
    std::map<ServerName, size_t> waiting;  // how many rows for each server
  };
  // Divides {user: {device or "*": content}}. kInvalid, kTooLarge. Synchronous; on the pool.
  Result<Prepared> prepare(const UserId& sender, const std::string& type,
                           const json::Object& messages);
  // The batch is committed.
  void committed(const std::map<ServerName, size_t>& waiting);

  // sender::EduSource
  Task<Result<sender::PendingEdus>> next(ServerName destination, size_t limit) override;
  Task<void> delivered(ServerName destination, uint64_t token) override;
  Task<std::vector<ServerName>> waiting() override;

 private:
  Status make_way(const ServerName& server, size_t count, kv::Batch& batch);

  const Parts parts_;
  base::Mutex mutex_;
  std::map<ServerName, size_t> queued_ GUARDED_BY(mutex_);
  // On shard 0: up to where it is delivered, until that is written, and how many are under way.
  std::map<ServerName, kv::Position> delivered_;
  std::map<ServerName, size_t> under_way_;
};

}  // namespace polder::devices
