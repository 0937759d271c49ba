#include "homeserver/protocol/dag/ordering.h"

#include <algorithm>
#include <limits>
#include <queue>

#include "homeserver/protocol/dag/power_levels.h"

namespace polder::dag {

using events::Event;

namespace {

constexpr uint32_t kNone = std::numeric_limits<uint32_t>::max();

// An event on its way through Kahn's algorithm.
struct Vertex {
  Slot slot = 0;
  const Event* event = nullptr;
  PowerLevel power;            // of the sender, by the event's own auth events
  uint32_t unplaced = 0;       // auth events in the set that are not in the order yet
  uint32_t dependent = kNone;  // the first edge to events of the set that name this one
};

struct Edge {
  uint32_t vertex = 0;
  uint32_t next = kNone;
};

struct Graph {
  explicit Graph(std::pmr::memory_resource* memory) : vertices(memory), edges(memory) {}
  std::pmr::vector<Vertex> vertices;
  std::pmr::vector<Edge> edges;
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

Result<PowerLevel> sender_power(Slot slot, const Event& event, EventCache& cache) {
  POLDER_TRY(const auto create_slot, cache.create_event(slot));
  if (!create_slot) return PowerLevel();
  POLDER_TRY(const Event* create, cache.event(*create_slot));
  POLDER_TRY(const auto levels_slot, cache.auth_power_levels(slot));
  const Event* levels = levels_slot ? &cache.known_event(*levels_slot) : nullptr;
  return PowerLevels(*create, levels).user(event.sender().view());
}

// The vertices of a set, with the edges that stay in it.
Result<Graph> make_graph(std::span<const Slot> set, EventCache& cache) {
  Graph graph(cache.memory());
  graph.vertices.resize(set.size());
  graph.edges.reserve(set.size());
  std::pmr::vector<uint32_t> positions(cache.size(), kNone, cache.memory());  // of slots
  for (uint32_t i = 0; i < set.size(); ++i)
    positions[set[i]] = i;
  for (uint32_t i = 0; i < set.size(); ++i) {
    Vertex& vertex = graph.vertices[i];
    vertex.slot = set[i];
    POLDER_TRY(vertex.event, cache.event(set[i]));
    POLDER_TRY(vertex.power, sender_power(set[i], *vertex.event, cache));
    POLDER_TRY(const auto auth_events, cache.auth_events(set[i]));
    for (const Slot auth : auth_events) {
      if (auth >= positions.size() || positions[auth] == kNone) continue;
      Vertex& named = graph.vertices[positions[auth]];
      graph.edges.push_back({i, named.dependent});
      named.dependent = static_cast<uint32_t>(graph.edges.size() - 1);
      ++vertex.unplaced;
    }
  }
  return graph;
}

// Where events stand on the mainline of a power levels event.
class Mainline {
 public:
  static constexpr uint32_t kEnd = kNone - 1;  // past its end

  explicit Mainline(EventCache& cache)
      : cache_(cache), positions_(cache.size(), kNone, cache.memory()), way_(cache.memory()) {}

  Status build(std::optional<Slot> power_levels) {
    uint32_t position = 0;
    for (auto next = power_levels; next; ++position) {
      position_of(*next) = position;
      POLDER_TRY(next, cache_.auth_power_levels(*next));
    }
    return {};
  }

  // Follows power levels events from the event's own on, until one has a known position; those on
  // the way have the same.
  Result<uint32_t> position(Slot slot) {
    way_.clear();
    uint32_t position = kEnd;
    POLDER_TRY(auto next, cache_.auth_power_levels(slot));
    while (next) {
      const uint32_t known = position_of(*next);
      if (known != kNone) {
        position = known;
        break;
      }
      way_.push_back(*next);
      POLDER_TRY(next, cache_.auth_power_levels(*next));
    }
    for (const Slot passed : way_)
      position_of(passed) = position;
    return position;
  }

 private:
  uint32_t& position_of(Slot slot) {
    if (slot >= positions_.size()) positions_.resize(cache_.size(), kNone);
    return positions_[slot];
  }

  EventCache& cache_;
  std::pmr::vector<uint32_t> positions_;  // of slots; kNone: not known
  std::pmr::vector<Slot> way_;
};

// The first bytes of an id, which order as it does: most comparisons need no more.
uint64_t beginning_of(const EventId& id) {
  uint64_t bytes = 0;
  for (size_t i = 0; i < sizeof bytes; ++i)
    bytes = bytes << 8 | (i < id.view().size() ? static_cast<unsigned char>(id.view()[i]) : 0);
  return bytes;
}

struct Placed {
  Slot slot;
  uint32_t position;
  int64_t ts;
  uint64_t id;
  const Event* event;

  friend bool operator<(const Placed& a, const Placed& b) {
    if (a.position != b.position) return a.position > b.position;
    if (a.ts != b.ts) return a.ts < b.ts;
    if (a.id != b.id) return a.id < b.id;
    return a.event->id() < b.event->id();
  }
};

}  // namespace

// https://spec.matrix.org/v1.19/rooms/v2/#definitions, "reverse topological power ordering": Kahn's
// algorithm, which at each step takes the smallest event all of whose auth events have been taken;
// x is smaller than y if
//   1. x's sender has more power, by the auth events of x and y;
//   2. or as much, and x's origin_server_ts is smaller;
//   3. or the same, and x's event id is smaller.
Result<std::pmr::vector<Slot>> power_ordering(std::span<const Slot> set, EventCache& cache) {
  POLDER_TRY(auto graph, make_graph(set, cache));
  std::pmr::vector<Vertex*> memory(cache.memory());
  memory.reserve(set.size());
  std::priority_queue<Vertex*, std::pmr::vector<Vertex*>, ComesAfter> ready({}, std::move(memory));
  for (Vertex& vertex : graph.vertices) {
    if (vertex.unplaced == 0) ready.push(&vertex);
  }
  std::pmr::vector<Slot> order(cache.memory());
  order.reserve(set.size());
  while (!ready.empty()) {
    const Vertex* vertex = ready.top();
    ready.pop();
    order.push_back(vertex->slot);
    for (uint32_t edge = vertex->dependent; edge != kNone; edge = graph.edges[edge].next) {
      Vertex& dependent = graph.vertices[graph.edges[edge].vertex];
      if (--dependent.unplaced == 0) ready.push(&dependent);
    }
  }
  return order;
}

// https://spec.matrix.org/v1.19/rooms/v2/#definitions, "mainline ordering": x is smaller than y if
//   1. x's mainline position is greater, so that it builds on an older power levels event;
//   2. or the same, and x's origin_server_ts is smaller;
//   3. or the same, and x's event id is smaller.
Result<std::pmr::vector<Slot>> mainline_ordering(std::span<const Slot> set,
                                                 std::optional<Slot> power_levels,
                                                 EventCache& cache) {
  Mainline mainline(cache);
  POLDER_CHECK(mainline.build(power_levels));
  std::pmr::vector<Placed> placed(cache.memory());
  placed.reserve(set.size());
  for (const Slot slot : set) {
    POLDER_TRY(const Event* event, cache.event(slot));
    POLDER_TRY(const uint32_t position, mainline.position(slot));
    placed.push_back({slot, position, event->origin_server_ts(), beginning_of(event->id()), event});
  }
  std::sort(placed.begin(), placed.end());
  std::pmr::vector<Slot> order(cache.memory());
  order.reserve(placed.size());
  for (const Placed& one : placed)
    order.push_back(one.slot);
  return order;
}

}  // namespace polder::dag
