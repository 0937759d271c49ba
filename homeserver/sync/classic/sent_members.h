// Which members a device was told of, so that lazy loading does not tell it again
// (https://spec.matrix.org/v1.19/client-server-api/#lazy-loading-room-members). In memory: after a
// restart, or beyond its bounds, members are told once more than they need be.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <unordered_map>

#include "homeserver/base/values/ids.h"
#include "homeserver/base/values/mutex.h"
#include "storage/kv/kv.h"
#include "storage/stores/base/names.h"

namespace polder::sync {

inline constexpr size_t kSentMembersMax = 2000;          // of a device
inline constexpr size_t kSentMembersOfAllMax = 300'000;  // some 20 MiB

// Thread-safe.
class SentMembers {
 public:
  // Of one device.
  class OfDevice {
   public:
    // Whether the client has the member's event.
    bool has(stores::RoomNumber room, uint64_t member, stores::EventNumber event) const;
    // It is told in the response as of `at`.
    void add(stores::RoomNumber room, uint64_t member, stores::EventNumber event, kv::Position at);

    explicit OfDevice(std::shared_ptr<std::atomic<size_t>> total) : total_(std::move(total)) {}
    OfDevice(const OfDevice&) = delete;
    OfDevice& operator=(const OfDevice&) = delete;
    ~OfDevice() { *total_ -= sent_.size(); }

   private:
    friend class SentMembers;
    // Of what came in responses beyond the client's token, nothing is known to have arrived.
    void forget_after(kv::Position since);

    struct Key {
      stores::RoomNumber room = 0;
      uint64_t member = 0;  // the state key
      friend bool operator==(const Key&, const Key&) = default;
    };
    struct Hash {
      size_t operator()(const Key& key) const {
        return (key.room * 0x9e3779b97f4a7c15u) ^ (key.member * 0xc2b2ae3d27d4eb4fu);
      }
    };
    struct Sent {
      stores::EventNumber event = 0;
      kv::Position at = 0;
    };
    const std::shared_ptr<std::atomic<size_t>> total_;  // of all devices
    mutable base::Mutex mutex_;
    std::unordered_map<Key, Sent, Hash> sent_ GUARDED_BY(mutex_);
    kv::Position newest_ GUARDED_BY(mutex_) = 0;  // no later response
  };

  // Of a device that goes on from a token; 0: it begins anew.
  std::shared_ptr<OfDevice> of(stores::UserNumber user, const DeviceId& device, kv::Position since);

 private:
  const std::shared_ptr<std::atomic<size_t>> total_ = std::make_shared<std::atomic<size_t>>(0);
  base::Mutex mutex_;
  // By user and device.
  std::unordered_map<std::string, std::shared_ptr<OfDevice>> devices_ GUARDED_BY(mutex_);
};

}  // namespace polder::sync
