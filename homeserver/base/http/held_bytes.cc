#include "homeserver/base/http/held_bytes.h"

#include <algorithm>
#include <utility>

namespace polder::http {
namespace {

constexpr std::chrono::seconds kSlow{1};  // without progress
constexpr std::chrono::minutes kBetweenWarnings{1};

}  // namespace

HeldBytes::HeldBytes(const Clock& clock, Log& log, std::string event, HeldLimits limits)
    : clock_(clock), log_(log), event_(std::move(event)), limits_(limits) {}

std::unique_ptr<HeldBytes::Share> HeldBytes::share(std::string who, std::function<void()> end) {
  return std::unique_ptr<Share>(new Share(*this, std::move(who), std::move(end)));
}

uint64_t HeldBytes::held() const {
  const base::Lock lock(mutex_);
  return all_;
}

HeldBytes::Share::~Share() {
  const base::Lock lock(whole_.mutex_);
  whole_.wait(*this, false);
  whole_.forget(*this, bytes_);
}

bool HeldBytes::Share::hold(uint64_t bytes) {
  const base::Lock lock(whole_.mutex_);
  if (!whole_.fits(*this, bytes)) {
    whole_.tell();
    return false;
  }
  bytes_ += bytes;
  whole_.all_ += bytes;
  whole_.each_[who_] += bytes;
  if (!waits_ && bytes_ > kHeldFreely) whole_.wait(*this, true);
  return true;
}

void HeldBytes::Share::release(uint64_t bytes) {
  const base::Lock lock(whole_.mutex_);
  whole_.forget(*this, std::min(bytes, bytes_));
}

void HeldBytes::Share::progress() {
  const base::Lock lock(whole_.mutex_);
  if (waits_) whole_.wait(*this, true);
}

void HeldBytes::Share::settle() {
  const base::Lock lock(whole_.mutex_);
  whole_.wait(*this, false);
}

bool HeldBytes::fits(const Share& share, uint64_t bytes) {
  if (share.ended_) return false;
  if (share.bytes_ + bytes <= kHeldFreely) return true;
  const auto same = each_.find(share.who_);
  const uint64_t others = (same == each_.end() ? 0 : same->second) - share.bytes_;
  if (others > 0 && others + share.bytes_ + bytes > limits_.each) return false;
  if (all_ + bytes > limits_.all) end_slow(bytes);
  return all_ + bytes <= limits_.all;
}

// Ends who has made no progress for a while, until so many bytes have room.
void HeldBytes::end_slow(uint64_t bytes) {
  const auto slow = clock_.steady() - kSlow;
  for (auto next = waiting_.begin(); next != waiting_.end() && all_ + bytes > limits_.all;) {
    Share& share = **next++;
    if (share.since_ > slow) return;
    share.ended_ = true;
    wait(share, false);
    forget(share, share.bytes_);
    share.end_();
    tell();
  }
}

void HeldBytes::forget(Share& share, uint64_t bytes) {
  share.bytes_ -= bytes;
  all_ -= bytes;
  const auto same = each_.find(share.who_);
  if (same != each_.end() && (same->second -= bytes) == 0) each_.erase(same);
}

// Puts it last, or takes it out.
void HeldBytes::wait(Share& share, bool waits) {
  if (share.waits_) waiting_.erase(share.place_);
  if (waits) share.place_ = waiting_.insert(waiting_.end(), &share);
  share.waits_ = waits;
  share.since_ = clock_.steady();
}

void HeldBytes::tell() {
  ++untold_;
  const auto now = clock_.steady();
  if (told_ && now - *told_ < kBetweenWarnings) return;
  told_ = now;
  log_.warning(event_, {{"count", std::exchange(untold_, 0)}, {"held_bytes", all_}});
}

}  // namespace polder::http
