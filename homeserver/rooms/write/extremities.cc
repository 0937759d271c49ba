#include "homeserver/rooms/write/extremities.h"

#include <algorithm>
#include <map>
#include <ranges>
#include <set>

namespace polder::rooms {
namespace {

constexpr size_t kLinksFollowed = 10'000;  // events whose prev events are looked at

Result<std::vector<std::string>> senders_servers(const RoomView& view,
                                                 const std::vector<EventNumber>& extremities) {
  std::vector<std::string> servers;
  for (const EventNumber number : extremities) {
    POLDER_TRY(const HeldEvent held, view.load(number));
    servers.emplace_back(held.event->sender().server());
  }
  return servers;
}

}  // namespace

Result<std::vector<EventNumber>> extremities_to_build_on(
    const RoomView& view, const ServerName& own_name, const std::vector<EventNumber>& extremities) {
  if (extremities.size() <= events::kMaxPrevEvents) return extremities;
  POLDER_TRY(const auto servers, senders_servers(view, extremities));
  std::vector<EventNumber> chosen;
  for (const bool own : {true, false}) {
    for (size_t i = extremities.size(); i-- > 0 && chosen.size() < events::kMaxPrevEvents;) {
      if ((servers[i] == own_name.view()) == own) chosen.push_back(extremities[i]);
    }
  }
  return chosen;
}

Status prune_extremities(const RoomView& view, const ServerName& own_name,
                         std::vector<EventNumber>& extremities) {
  if (extremities.size() <= kExtremitiesKept) return {};
  POLDER_TRY(auto servers, senders_servers(view, extremities));
  servers.pop_back();  // the newest stays
  std::map<std::string, size_t> counts;
  for (const std::string& server : servers) {
    if (server != own_name.view()) ++counts[server];
  }
  const auto most =
      std::ranges::max_element(counts, {}, [](const auto& item) { return item.second; });
  if (most == counts.end()) return {};
  const auto oldest = std::ranges::find(servers, most->first);
  extremities.erase(extremities.begin() + (oldest - servers.begin()));
  return {};
}

Result<bool> is_built_on(const RoomView& view, const std::vector<EventNumber>& extremities,
                         EventNumber event) {
  std::multimap<int64_t, std::vector<EventNumber>> next;  // prev events of what is there, by depth
  std::set<EventNumber> seen;
  const auto add = [&](EventNumber number) -> Status {
    if (!seen.insert(number).second) return {};
    POLDER_TRY(auto record, view.find_record(number));
    if (record && !record->standing.outlier)
      next.emplace(record->depth, std::move(record->prev_events));
    return {};
  };
  for (const EventNumber number : extremities)
    POLDER_CHECK(add(number));
  for (size_t followed = 0; !next.empty() && followed < kLinksFollowed; ++followed) {
    const auto deepest = next.extract(std::prev(next.end()));
    for (const EventNumber prev : deepest.mapped()) {
      if (prev == event) return true;
      POLDER_CHECK(add(prev));
    }
  }
  return false;
}

}  // namespace polder::rooms
