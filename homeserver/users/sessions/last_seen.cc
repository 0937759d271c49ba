#include "homeserver/users/sessions/last_seen.h"

namespace polder::users {
namespace {

constexpr size_t kDevicesMax = 100'000;

}  // namespace

bool LastSeen::note(const Device& device, int64_t now_ms, std::string_view address) {
  const base::Lock lock(mutex_);
  if (devices_.size() >= kDevicesMax && !devices_.contains(device)) return false;
  devices_[device] = {{now_ms, std::string(address)}, true};
  return !std::exchange(noted_, true);
}

std::optional<LastSeen::Seen> LastSeen::of(const Device& device) const {
  const base::Lock lock(mutex_);
  const auto known = devices_.find(device);
  return known != devices_.end() ? std::optional(known->second.seen) : std::nullopt;
}

std::vector<std::pair<LastSeen::Device, LastSeen::Seen>> LastSeen::take() {
  const base::Lock lock(mutex_);
  noted_ = false;
  std::vector<std::pair<Device, Seen>> taken;
  for (auto entry = devices_.begin(); entry != devices_.end();) {
    // What was written the last time is on disk by now.
    if (!entry->second.to_write) {
      entry = devices_.erase(entry);
      continue;
    }
    taken.emplace_back(entry->first, entry->second.seen);
    entry->second.to_write = false;
    ++entry;
  }
  return taken;
}

}  // namespace polder::users
