#include "homeserver/dag/ordering.h"

#include <algorithm>
#include <limits>
#include <queue>
#include <unordered_map>

#include "homeserver/dag/power_levels.h"

namespace polder::dag {

using events::Event;

namespace {

constexpr events::StateKeyView kPowerLevelsKey{"m.room.power_levels", ""};

// An event on its way through Kahn's algorithm.
struct Vertex {
  EventNumber number = 0;
  const Event* event = nullptr;
  PowerLevel power;                // of the sender, by the event's own auth events
  size_t unplaced = 0;             // auth events in the set that are not in the order yet
  std::vector<size_t> dependents;  // events of the set that name this one
};

// For a priority queue, whose top is the largest: true if `a` comes after `b`.
struct ComesAfter {
  bool operator()(const Vertex* a, const Vertex* b) const {
    if (a->power != b->power) return a->power < b->power;
    if (a->event->origin_server_ts() != b->event->origin_server_ts())
      return a->event->origin_server_ts() > b->event->origin_server_ts();
    return a->event->id() > b->event->id();
  }
};

Result<PowerLevel> sender_power(EventNumber number, const Event& event, EventCache& cache) {
  POLDER_TRY(auto create_number, cache.create_event(number));
  if (!create_number) return PowerLevel();
  POLDER_TRY(const Event* create, cache.event(*create_number));
  POLDER_TRY(auto levels_number, cache.auth_event(number, kPowerLevelsKey));
  const Event* levels = nullptr;
  if (levels_number) {
    POLDER_TRY(levels, cache.event(*levels_number));
  }
  return PowerLevels(*create, levels).user(event.sender().view());
}

// The vertices of a sorted set, with the edges that stay in the set.
Result<std::vector<Vertex>> make_graph(std::span<const EventNumber> set, EventCache& cache) {
  std::vector<Vertex> graph(set.size());
  for (size_t i = 0; i < set.size(); ++i) {
    Vertex& vertex = graph[i];
    vertex.number = set[i];
    POLDER_TRY(vertex.event, cache.event(set[i]));
    POLDER_TRY(vertex.power, sender_power(set[i], *vertex.event, cache));
    POLDER_TRY(auto auth_events, cache.auth_events(set[i]));
    for (EventNumber auth : auth_events) {
      auto position = std::lower_bound(set.begin(), set.end(), auth);
      if (position == set.end() || *position != auth) continue;
      graph[static_cast<size_t>(position - set.begin())].dependents.push_back(i);
      ++vertex.unplaced;
    }
  }
  return graph;
}

// Where events stand on the mainline of a power levels event.
class Mainline {
 public:
  static constexpr size_t kNone = std::numeric_limits<size_t>::max();  // past its end

  explicit Mainline(EventCache& cache) : cache_(cache) {}

  Status build(std::optional<EventNumber> power_levels) {
    size_t position = 0;
    for (auto next = power_levels; next; ++position) {
      positions_.emplace(*next, position);
      POLDER_TRY(next, cache_.auth_event(*next, kPowerLevelsKey));
    }
    return {};
  }

  // Follows power levels events from the event's own on, until one has a known position; those on
  // the way have the same.
  Result<size_t> position(EventNumber number) {
    std::vector<EventNumber> way;
    size_t position = kNone;
    POLDER_TRY(auto next, cache_.auth_event(number, kPowerLevelsKey));
    while (next) {
      if (auto known = positions_.find(*next); known != positions_.end()) {
        position = known->second;
        break;
      }
      way.push_back(*next);
      POLDER_TRY(next, cache_.auth_event(*next, kPowerLevelsKey));
    }
    for (EventNumber passed : way)
      positions_.emplace(passed, position);
    return position;
  }

 private:
  EventCache& cache_;
  std::unordered_map<EventNumber, size_t> positions_;
};

}  // namespace

// https://spec.matrix.org/v1.19/rooms/v2/#definitions, "reverse topological power ordering": Kahn's
// algorithm, which at each step takes the smallest event all of whose auth events have been taken;
// x is smaller than y if
//   1. x's sender has more power, by the auth events of x and y;
//   2. or as much, and x's origin_server_ts is smaller;
//   3. or the same, and x's event id is smaller.
Result<std::vector<EventNumber>> power_ordering(std::span<const EventNumber> set,
                                                EventCache& cache) {
  std::vector<EventNumber> sorted(set.begin(), set.end());
  std::sort(sorted.begin(), sorted.end());
  POLDER_TRY(auto graph, make_graph(sorted, cache));
  std::priority_queue<Vertex*, std::vector<Vertex*>, ComesAfter> ready;
  for (Vertex& vertex : graph) {
    if (vertex.unplaced == 0) ready.push(&vertex);
  }
  std::vector<EventNumber> order;
  order.reserve(graph.size());
  while (!ready.empty()) {
    Vertex* vertex = ready.top();
    ready.pop();
    order.push_back(vertex->number);
    for (size_t dependent : vertex->dependents) {
      if (--graph[dependent].unplaced == 0) ready.push(&graph[dependent]);
    }
  }
  return order;
}

// https://spec.matrix.org/v1.19/rooms/v2/#definitions, "mainline ordering": x is smaller than y if
//   1. x's mainline position is greater, so that it builds on an older power levels event;
//   2. or the same, and x's origin_server_ts is smaller;
//   3. or the same, and x's event id is smaller.
Result<std::vector<EventNumber>> mainline_ordering(std::span<const EventNumber> set,
                                                   std::optional<EventNumber> power_levels,
                                                   EventCache& cache) {
  struct Placed {
    EventNumber number;
    size_t position;
    const Event* event;
  };
  Mainline mainline(cache);
  POLDER_CHECK(mainline.build(power_levels));
  std::vector<Placed> placed;
  placed.reserve(set.size());
  for (EventNumber number : set) {
    POLDER_TRY(const Event* event, cache.event(number));
    POLDER_TRY(size_t position, mainline.position(number));
    placed.push_back({number, position, event});
  }
  std::sort(placed.begin(), placed.end(), [](const Placed& a, const Placed& b) {
    if (a.position != b.position) return a.position > b.position;
    if (a.event->origin_server_ts() != b.event->origin_server_ts())
      return a.event->origin_server_ts() < b.event->origin_server_ts();
    return a.event->id() < b.event->id();
  });
  std::vector<EventNumber> order;
  order.reserve(placed.size());
  for (const Placed& one : placed)
    order.push_back(one.number);
  return order;
}

}  // namespace polder::dag
