#include "homeserver/base/http/door.h"

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

Door::Place::Place(Place&& other) noexcept
    : door_(std::exchange(other.door_, nullptr)),
      listener_(other.listener_),
      address_(std::move(other.address_)),
      network_(std::move(other.network_)) {}

Door::Place::~Place() {
  if (door_ != nullptr) door_->leave(*this);
}

Door::Door(const Clock& clock, Log& log, std::string event, DoorLimits limits)
    : clock_(clock), log_(log), event_(std::move(event)), limits_(limits) {}

std::optional<Door::Place> Door::enter(const IpAddress& address, size_t listener,
                                       bool stands_for_many) {
  Place place(*this, listener);
  if (!stands_for_many) {
    place.address_ = key_of(address, 4, 8);
    place.network_ = key_of(address, 3, 7);
  }
  std::optional<std::string_view> by;
  {
    const base::Lock lock(mutex_);
    if (listener >= listeners_.size()) listeners_.resize(listener + 1);
    by = full(place);
    if (!by) {
      ++inside_;
      ++listeners_[listener];
      if (!stands_for_many) {
        ++peers_[place.address_];
        ++peers_[place.network_];
      }
      return place;
    }
  }
  place.door_ = nullptr;
  refused(*by, address);
  return std::nullopt;
}

size_t Door::count_of(const std::string& key) const {
  const auto found = peers_.find(key);
  return key.empty() || found == peers_.end() ? 0 : found->second;
}

// By what limit there is no place more.
std::optional<std::string_view> Door::full(const Place& place) {
  if (inside_ >= limits_.all) return "all";
  if (listeners_[place.listener_] >= limits_.listener) return "listener";
  if (count_of(place.network_) >= limits_.network) return "network";
  if (count_of(place.address_) >= limits_.address) return "address";
  return std::nullopt;
}

void Door::leave(const Place& place) {
  const base::Lock lock(mutex_);
  --inside_;
  --listeners_[place.listener_];
  for (const std::string& key : {place.address_, place.network_}) {
    const auto found = peers_.find(key);
    if (found != peers_.end() && --found->second == 0) peers_.erase(found);
  }
}

void Door::refused(std::string_view by, const IpAddress& address) {
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

size_t Door::inside() const {
  const base::Lock lock(mutex_);
  return inside_;
}

}  // namespace polder::http
