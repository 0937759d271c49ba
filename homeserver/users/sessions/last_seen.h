// When devices were last used, and from where: in memory, until it is written.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "homeserver/base/values/mutex.h"
#include "homeserver/users/accounts/session.h"

namespace polder::users {

// Thread-safe.
class LastSeen {
 public:
  struct Seen {
    int64_t at_ms = 0;
    std::string address;
  };
  struct Device {
    stores::UserNumber user = 0;
    DeviceId device;
    friend auto operator<=>(const Device&, const Device&) = default;
  };

  // True if it is the first since take(): somebody has to write it some time.
  bool note(const Device& device, int64_t now_ms, std::string_view address);
  std::optional<Seen> of(const Device& device) const;
  // What is to be written. It is known until the next time, when it has been.
  std::vector<std::pair<Device, Seen>> take();

 private:
  struct Entry {
    Seen seen;
    bool to_write = false;
  };
  mutable base::Mutex mutex_;
  std::map<Device, Entry> devices_ GUARDED_BY(mutex_);
  bool noted_ GUARDED_BY(mutex_) = false;  // since take()
};

}  // namespace polder::users
