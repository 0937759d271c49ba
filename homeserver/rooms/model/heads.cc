#include "homeserver/rooms/model/heads.h"

#include <ranges>

namespace polder::rooms {

std::optional<std::vector<stores::TimelineEntry>> RecentTimeline::between(kv::Position from,
                                                                          kv::Position to,
                                                                          size_t limit) const {
  std::vector<stores::TimelineEntry> found;
  for (const Entry& entry : std::views::reverse(entries_)) {
    if (entry.position <= from || found.size() == limit) return found;
    if (entry.position <= to) found.push_back({entry.position, entry.number});
  }
  return found.size() == limit || from >= after_ ? std::optional(std::move(found)) : std::nullopt;
}

std::optional<stores::StateRoot> RecentTimeline::state_at(kv::Position position) const {
  for (const Entry& entry : std::views::reverse(entries_)) {
    if (entry.position <= position) return entry.room_state;
  }
  return std::nullopt;
}

std::optional<uint64_t> RecentTimeline::notifying_at(kv::Position position) const {
  for (const Entry& entry : std::views::reverse(entries_)) {
    if (entry.position > position) continue;
    return entry.notifying == kUnknown ? std::nullopt : std::optional(entry.notifying);
  }
  return std::nullopt;
}

void RecentTimeline::begin_unknown_after(kv::Position position) {
  begin_after(position);
  threaded_ = highlighted_ = redacted_ = position;
}

void RecentTimeline::begin_after(kv::Position position) {
  after_ = position;
  entries_.clear();
}

void RecentTimeline::add(const Entry& entry) {
  if (entries_.size() == kEntries) {
    after_ = entries_.front().position;
    entries_.erase(entries_.begin());
  }
  entries_.push_back(entry);
}

}  // namespace polder::rooms
