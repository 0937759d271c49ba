#include "homeserver/base/http/connection_limiter.h"

#include <utility>

namespace polder::http {
namespace {

constexpr std::chrono::minutes kBetweenLines{1};

// The first bytes. Their numbers differ, so that keys of one kind are none of another.
std::string key_of(const IpAddress& address, size_t v4_bytes, size_t v6_bytes) {
  const auto bytes = address.bytes();
  return {bytes.begin(),
          bytes.begin() + static_cast<ptrdiff_t>(address.is_v4() ? v4_bytes : v6_bytes)};
}

}  // namespace

ConnectionLimiter::Slot::Slot(Slot&& other) noexcept
    : limiter_(std::exchange(other.limiter_, nullptr)),
      listener_(other.listener_),
      address_(std::move(other.address_)),
      network_(std::move(other.network_)) {}

ConnectionLimiter::Slot::~Slot() {
  if (limiter_ != nullptr) limiter_->leave(*this);
}

ConnectionLimiter::ConnectionLimiter(const Clock& clock, Log& log, std::string event,
                                     ConnectionLimits limits)
    : clock_(clock), log_(log), event_(std::move(event)), limits_(limits) {}

std::optional<ConnectionLimiter::Slot> ConnectionLimiter::admit(const IpAddress& address,
                                                                size_t listener,
                                                                bool stands_for_many) {
  Slot slot(*this, listener);
  if (!stands_for_many) {
    slot.address_ = key_of(address, 4, 8);
    slot.network_ = key_of(address, 3, 7);
  }
  std::optional<std::string_view> by;
  {
    const base::Lock lock(mutex_);
    if (listener >= listeners_.size()) listeners_.resize(listener + 1);
    by = full(slot);
    if (!by) {
      ++inside_;
      ++listeners_[listener];
      if (!stands_for_many) {
        ++peers_[slot.address_];
        ++peers_[slot.network_];
      }
      return slot;
    }
  }
  slot.limiter_ = nullptr;
  refused(*by, address);
  return std::nullopt;
}

size_t ConnectionLimiter::count_of(const std::string& key) const {
  const auto found = peers_.find(key);
  return key.empty() || found == peers_.end() ? 0 : found->second;
}

// By what limit there is no slot more.
std::optional<std::string_view> ConnectionLimiter::full(const Slot& slot) {
  if (inside_ >= limits_.all) return "all";
  if (listeners_[slot.listener_] >= limits_.listener) return "listener";
  if (count_of(slot.network_) >= limits_.network) return "network";
  if (count_of(slot.address_) >= limits_.address) return "address";
  return std::nullopt;
}

void ConnectionLimiter::leave(const Slot& slot) {
  const base::Lock lock(mutex_);
  --inside_;
  --listeners_[slot.listener_];
  for (const std::string& key : {slot.address_, slot.network_}) {
    const auto found = peers_.find(key);
    if (found != peers_.end() && --found->second == 0) peers_.erase(found);
  }
}

void ConnectionLimiter::refused(std::string_view by, const IpAddress& address) {
  refusals_.add();
  uint64_t count = 0;
  {
    const base::Lock lock(mutex_);
    ++refused_;
    const auto now = clock_.steady();
    if (told_ && now - *told_ < kBetweenLines) return;
    told_ = now;
    count = std::exchange(refused_, 0);
  }
  log_.warning(event_, {{"count", count}, {"limit", by}, {"last_address", address.str()}});
}

size_t ConnectionLimiter::inside() const {
  const base::Lock lock(mutex_);
  return inside_;
}

}  // namespace polder::http
