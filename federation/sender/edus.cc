#include "federation/sender/edus.h"

namespace polder::sender {
namespace {

constexpr size_t kEdusMax = 500;

}  // namespace

void EduQueue::push(ShortLivedEdu edu, std::chrono::nanoseconds now) {
  if (!edu.replaces.empty())
    std::erase_if(edus_, [&](const Entry& entry) { return entry.replaces == edu.replaces; });
  if (edus_.size() >= kEdusMax) edus_.pop_front();
  edus_.push_back({std::move(edu.edu), std::move(edu.replaces), now + edu.keep_for});
}

std::vector<EduQueue::Entry> EduQueue::take(size_t limit, std::chrono::nanoseconds now,
                                            std::string_view again) {
  std::erase_if(edus_, [&](const Entry& entry) { return entry.expires <= now; });
  std::vector<Entry> taken;
  std::deque<Entry> left;
  for (Entry& entry : edus_) {
    const bool takes = taken.size() < limit && (again.empty() || entry.sent_in == again);
    if (takes) {
      taken.push_back(std::move(entry));
    } else {
      left.push_back(std::move(entry));
    }
  }
  edus_ = std::move(left);
  return taken;
}

void EduQueue::put_back(std::vector<Entry> entries) {
  for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
    const bool replaced =
        !entry->replaces.empty() && std::ranges::any_of(edus_, [&](const Entry& newer) {
          return newer.replaces == entry->replaces;
        });
    if (!replaced && edus_.size() < kEdusMax) edus_.push_front(std::move(*entry));
  }
}

}  // namespace polder::sender
