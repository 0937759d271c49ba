#include "homeserver/rooms/write/auth_order.h"

#include <utility>

namespace polder::rooms {

std::vector<uint32_t> auth_order(const AuthPlaces& auth_events, std::optional<uint32_t> create) {
  std::vector<uint32_t> order;
  order.reserve(auth_events.size());
  std::vector<bool> seen(auth_events.size());
  std::vector<std::pair<uint32_t, size_t>> path;  // depth first, without recursion
  const auto enter = [&](uint32_t place) {
    if (!seen[place]) path.emplace_back(place, 0);
    seen[place] = true;
  };
  const auto walk = [&](uint32_t from) {
    enter(from);
    while (!path.empty()) {
      auto& [place, next] = path.back();
      if (next < auth_events[place].size()) {
        enter(auth_events[place][next++]);
      } else {
        order.push_back(place);
        path.pop_back();
      }
    }
  };
  if (create) walk(*create);
  for (uint32_t place = 0; place < auth_events.size(); ++place)
    walk(place);
  return order;
}

}  // namespace polder::rooms
