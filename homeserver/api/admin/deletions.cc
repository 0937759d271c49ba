#include "homeserver/api/admin/deletions.h"

#include <algorithm>

namespace polder::admin_api {
namespace {

constexpr size_t kKept = 1000;

bool is_under_way(const Deletion& deletion) {
  return deletion.status == "shutting_down" || deletion.status == "purging";
}

}  // namespace

bool Deletions::begin(Deletion deletion) {
  const base::Lock lock(mutex_);
  for (const Deletion& other : deletions_) {
    if (other.room == deletion.room && is_under_way(other)) return false;
  }
  deletions_.push_back(std::move(deletion));
  if (deletions_.size() > kKept) deletions_.pop_front();
  return true;
}

void Deletions::update(const Deletion& deletion) {
  const base::Lock lock(mutex_);
  const auto found = std::ranges::find(deletions_, deletion.id, &Deletion::id);
  if (found != deletions_.end()) *found = deletion;
}

std::optional<Deletion> Deletions::find(std::string_view id) const {
  const base::Lock lock(mutex_);
  const auto found = std::ranges::find(deletions_, id, &Deletion::id);
  return found == deletions_.end() ? std::nullopt : std::optional(*found);
}

std::vector<Deletion> Deletions::of_room(const RoomId& room) const {
  const base::Lock lock(mutex_);
  std::vector<Deletion> found;
  std::ranges::copy_if(deletions_, std::back_inserter(found),
                       [&](const Deletion& deletion) { return deletion.room == room; });
  return found;
}

}  // namespace polder::admin_api
