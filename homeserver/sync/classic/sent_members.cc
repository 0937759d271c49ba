#include "homeserver/sync/classic/sent_members.h"

#include <algorithm>

namespace polder::sync {

bool SentMembers::OfDevice::has(stores::RoomNumber room, uint64_t member,
                                stores::EventNumber event) const {
  const base::Lock lock(mutex_);
  const auto sent = sent_.find({room, member});
  return sent != sent_.end() && sent->second.event == event;
}

void SentMembers::OfDevice::forget_after(kv::Position since) {
  const base::Lock lock(mutex_);
  if (newest_ <= since) return;
  *total_ -= std::erase_if(sent_, [&](const auto& entry) { return entry.second.at > since; });
  newest_ = since;
}

void SentMembers::OfDevice::add(stores::RoomNumber room, uint64_t member, stores::EventNumber event,
                                kv::Position at) {
  const base::Lock lock(mutex_);
  if (sent_.size() >= kSentMembersMax) {
    *total_ -= sent_.size();
    sent_.clear();
  }
  const auto [place, fresh] = sent_.insert_or_assign(Key{room, member}, Sent{event, at});
  if (fresh) ++*total_;
  newest_ = std::max(newest_, at);
}

std::shared_ptr<SentMembers::OfDevice> SentMembers::of(stores::UserNumber user,
                                                       const DeviceId& device, kv::Position since) {
  std::shared_ptr<OfDevice> of;
  {
    const base::Lock lock(mutex_);
    if (*total_ + devices_.size() > kSentMembersOfAllMax) devices_.clear();
    auto& known = devices_[std::to_string(user) + "/" + device.str()];
    if (!known) known = std::make_shared<OfDevice>(total_);
    of = known;
  }
  of->forget_after(since);
  return of;
}

}  // namespace polder::sync
