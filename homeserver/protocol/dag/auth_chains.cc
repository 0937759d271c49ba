#include "homeserver/protocol/dag/auth_chains.h"

#include <algorithm>
#include <limits>
#include <memory_resource>

#include "homeserver/protocol/dag/number_table.h"
#include "homeserver/protocol/dag/run_memory.h"

namespace polder::dag {
namespace {

// Watermarks of the chains that some events reach. A slot stands for a chain that was met.
class Reach {
 public:
  struct Slot {
    EventNumber chain = 0;
    EventNumber mark = 0;  // in this pass: the newest event that is reached
    uint32_t pass = 0;
  };

  Reach(ChainIndex& index, std::pmr::memory_resource* memory)
      : index_(index), slots_(memory), table_(memory), heap_(memory), touched_(memory) {
    slots_.reserve(32);
    heap_.reserve(32);
    touched_.reserve(32);
  }

  // Begins anew, with the chains met so far. What is older than the floor is left out.
  void begin(EventNumber floor) {
    ++pass_;
    floor_ = floor;
    touched_.clear();
  }

  Status add_auth_events_of(EventNumber number) {
    POLDER_TRY(const ChainPlace place, read(number));
    if (place.before != 0 && place.before >= floor_) raise(place.chain, place.before);
    for (const ChainLink& link : place.links) {
      POLDER_CHECK(check_older(link.event, number));
      if (link.event >= floor_) raise(link.chain, link.event);
    }
    return {};
  }

  // Returns the slot of its chain.
  Result<uint32_t> add(EventNumber number) {
    POLDER_TRY(const ChainPlace place, read(number));
    return raise(place.chain, number);
  }

  // Lowers nothing: the newest event of the heap has no successor that is still to be met, so its
  // chain's watermark is final. `visit` sees each link that was followed: slot and event on both
  // sides.
  template <class Visit>
  Status run(Visit visit) {
    while (!heap_.empty()) {
      const auto [mark, slot] = heap_.front();
      std::pop_heap(heap_.begin(), heap_.end());
      heap_.pop_back();
      if (slots_[slot].mark == mark) POLDER_CHECK(follow_links(slot, visit));
    }
    return {};
  }

  // Appends the events of the chain up to its watermark that are newer than `after`.
  Status events_after(uint32_t slot, EventNumber after, EventNumber upto,
                      std::vector<EventNumber>& out) {
    for (EventNumber number = upto; number > after;) {
      out.push_back(number);
      POLDER_TRY(const ChainPlace place, read(number));
      POLDER_CHECK(check_older(place.before, number));
      if (place.chain != slots_[slot].chain) return corrupt();
      number = place.before;
    }
    return {};
  }

  // What this pass reached.
  std::span<const uint32_t> touched() const { return touched_; }
  const Slot& slot(uint32_t slot) const { return slots_[slot]; }
  size_t size() const { return slots_.size(); }
  bool is_reached(uint32_t slot) const { return slots_[slot].pass == pass_; }
  uint32_t slot_of(EventNumber chain) {
    const uint32_t slot = table_.slot_of(chain);
    if (slot == slots_.size()) slots_.push_back({chain, 0, 0});
    return slot;
  }

 private:
  static Error corrupt() { return fail(ErrorCode::kCorrupt, "the auth chains are damaged"); }
  // An index that leads in a circle is damaged; every step goes to an older event.
  static Status check_older(EventNumber number, EventNumber than) {
    if (number >= than) return corrupt();
    return {};
  }

  Result<ChainPlace> read(EventNumber number) {
    if (++steps_ > kMaxChainSteps)
      return fail(ErrorCode::kTooLarge, "the auth chains of this room take too long to compare");
    return index_.chain_place(number);
  }

  // Returns the slot of the chain. The event must not be older than the floor.
  uint32_t raise(EventNumber chain, EventNumber number) {
    const uint32_t index = slot_of(chain);
    Slot& slot = slots_[index];
    if (slot.pass != pass_) {
      slot.pass = pass_;
      touched_.push_back(index);
    } else if (slot.mark >= number) {
      return index;
    }
    slot.mark = number;
    heap_.emplace_back(number, index);
    std::push_heap(heap_.begin(), heap_.end());
    return index;
  }

  template <class Visit>
  Status follow_links(uint32_t slot, Visit& visit) {
    for (EventNumber number = slots_[slot].mark; number != 0 && number >= floor_;) {
      POLDER_TRY(const ChainPlace place, read(number));
      for (const ChainLink& link : place.links) {
        POLDER_CHECK(check_older(link.event, number));
        if (link.event >= floor_) visit(slot, number, raise(link.chain, link.event), link.event);
      }
      POLDER_CHECK(check_older(place.linked, number));
      number = place.linked;
    }
    return {};
  }

  ChainIndex& index_;
  EventNumber floor_ = 0;
  uint32_t pass_ = 0;
  size_t steps_ = 0;
  std::pmr::vector<Slot> slots_;
  NumberTable table_;  // of slots_
  std::pmr::vector<std::pair<EventNumber, uint32_t>> heap_;
  std::pmr::vector<uint32_t> touched_;
};

constexpr auto kIgnore = [](uint32_t, EventNumber, uint32_t, EventNumber) {};

// How far the state sets reach on a chain.
struct Span {
  size_t sets = 0;  // that reach it at all
  EventNumber least = std::numeric_limits<EventNumber>::max();
  EventNumber most = 0;
};

// The part of a chain that some state sets have and others lack.
struct Differing {
  uint32_t slot;
  EventNumber after;
  EventNumber upto;
};

std::pmr::vector<Differing> differing_parts(const Reach& reach, std::span<const Span> spans,
                                            size_t sets, std::pmr::memory_resource* memory) {
  std::pmr::vector<Differing> parts(memory);
  for (uint32_t slot = 0; slot < spans.size(); ++slot) {
    const Span& span = spans[slot];
    const EventNumber after = span.sets < sets ? reach.slot(slot).chain - 1 : span.least;
    if (after < span.most) parts.push_back({slot, after, span.most});
  }
  return parts;
}

// What the unconflicted events reach is in every state's chain. Only those newer than the oldest
// differing event can reach any.
Status take_out_unconflicted(const UnconflictedState& state, Reach& reach,
                             std::span<Differing> parts) {
  EventNumber oldest = std::numeric_limits<EventNumber>::max();
  for (const Differing& part : parts)
    oldest = std::min(oldest, part.after + 1);
  reach.begin(oldest);
  Status status;
  POLDER_CHECK(state.each([&](EventNumber number) {
    if (number > oldest && status.ok()) status = reach.add_auth_events_of(number);
  }));
  POLDER_CHECK(status);
  POLDER_CHECK(reach.run(kIgnore));
  for (Differing& part : parts) {
    if (reach.is_reached(part.slot)) part.after = std::max(part.after, reach.slot(part.slot).mark);
  }
  return {};
}

}  // namespace

Result<std::vector<EventNumber>> auth_difference(const StateSets& sets, ChainIndex& index) {
  RunMemory memory;
  Reach reach(index, memory.get());
  std::pmr::vector<Span> spans(memory.get());
  spans.reserve(32);
  for (const std::vector<EventNumber>& conflicted : sets.conflicted) {
    reach.begin(0);
    for (const EventNumber number : conflicted)
      POLDER_CHECK(reach.add_auth_events_of(number));
    POLDER_CHECK(reach.run(kIgnore));
    spans.resize(reach.size());
    for (const uint32_t slot : reach.touched()) {
      Span& span = spans[slot];
      ++span.sets;
      span.least = std::min(span.least, reach.slot(slot).mark);
      span.most = std::max(span.most, reach.slot(slot).mark);
    }
  }
  std::pmr::vector<Differing> parts =
      differing_parts(reach, spans, sets.conflicted.size(), memory.get());
  std::vector<EventNumber> difference;
  if (parts.empty()) return difference;
  POLDER_CHECK(take_out_unconflicted(sets.unconflicted, reach, parts));
  for (const Differing& part : parts)
    POLDER_CHECK(reach.events_after(part.slot, part.after, part.upto, difference));
  std::sort(difference.begin(), difference.end());
  return difference;
}

// From the conflicted events down, the watermarks of what they reach; from them up, along the links
// that were followed, the oldest event of each chain that reaches one of them. Between the two lies
// the chain's part of the subgraph. Events older than all conflicted ones reach none.
Result<std::vector<EventNumber>> conflicted_subgraph(std::span<const EventNumber> conflicted,
                                                     ChainIndex& index) {
  std::vector<EventNumber> subgraph;
  if (conflicted.empty()) return subgraph;
  subgraph.reserve(conflicted.size());
  struct Edge {
    EventNumber origin;
    EventNumber target;
    uint32_t from;
    uint32_t to;
  };
  RunMemory memory;
  std::pmr::vector<Edge> edges(memory.get());
  edges.reserve(32);
  Reach reach(index, memory.get());
  reach.begin(*std::min_element(conflicted.begin(), conflicted.end()));
  std::pmr::vector<std::pair<EventNumber, uint32_t>> ends(memory.get());
  ends.reserve(conflicted.size());
  for (const EventNumber number : conflicted) {
    POLDER_TRY(const uint32_t slot, reach.add(number));
    ends.emplace_back(number, slot);
  }
  POLDER_CHECK(reach.run([&](uint32_t from, EventNumber origin, uint32_t to, EventNumber target) {
    edges.push_back({origin, target, from, to});
  }));

  constexpr EventNumber kNone = std::numeric_limits<EventNumber>::max();
  std::pmr::vector<EventNumber> least(reach.size(), kNone, memory.get());
  for (const auto& [number, slot] : ends)
    least[slot] = std::min(least[slot], number);
  // What an edge's target reaches is known by then: that is older, and so are the edges from it.
  std::sort(edges.begin(), edges.end(),
            [](const Edge& a, const Edge& b) { return a.origin < b.origin; });
  for (const Edge& edge : edges) {
    if (edge.target >= least[edge.to]) least[edge.from] = std::min(least[edge.from], edge.origin);
  }
  for (const uint32_t slot : reach.touched()) {
    if (least[slot] == kNone) continue;
    POLDER_CHECK(reach.events_after(slot, least[slot] - 1, reach.slot(slot).mark, subgraph));
  }
  std::sort(subgraph.begin(), subgraph.end());
  return subgraph;
}

namespace {

// Whether the events of a chain up to this one have a link that implies the event.
Result<bool> chain_implies(EventNumber number, const ChainLink& link, ChainIndex& index) {
  for (size_t steps = 0; number != 0 && steps < kMaxImplyingSteps; ++steps) {
    POLDER_TRY(const ChainPlace place, index.chain_place(number));
    for (const ChainLink& known : place.links) {
      if (known.chain == link.chain && known.event >= link.event) return true;
    }
    number = place.linked;
  }
  return false;
}

}  // namespace

Result<NewChainPlace> choose_chain_place(EventNumber number, EventNumber before,
                                         std::span<const EventNumber> auth_events,
                                         ChainIndex& index) {
  NewChainPlace chosen{number, before, 0, {}};
  if (before != 0) {
    POLDER_TRY(const ChainPlace place, index.chain_place(before));
    chosen.chain = place.chain;
    chosen.linked = place.links.empty() ? place.linked : before;
  }
  std::vector<std::pair<ChainLink, ChainPlace>> others;
  for (const EventNumber auth : auth_events) {
    POLDER_TRY(const ChainPlace place, index.chain_place(auth));
    if (place.chain != chosen.chain || auth > before)
      others.push_back({{place.chain, auth}, place});
  }
  for (const auto& [link, place] : others) {
    const bool by_another = std::any_of(others.begin(), others.end(), [&link](const auto& other) {
      if (other.first.chain == link.chain) return other.first.event > link.event;
      return std::any_of(other.second.links.begin(), other.second.links.end(),
                         [&link](const ChainLink& known) {
                           return known.chain == link.chain && known.event >= link.event;
                         });
    });
    if (by_another ||
        std::find(chosen.links.begin(), chosen.links.end(), link) != chosen.links.end())
      continue;
    POLDER_TRY(const bool by_chain, chain_implies(before, link, index));
    if (!by_chain) chosen.links.push_back(link);
  }
  return chosen;
}

}  // namespace polder::dag
