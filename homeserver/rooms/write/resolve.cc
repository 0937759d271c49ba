// From the room's states to the rules' resolution and back.
#include <map>

#include "homeserver/protocol/dag/state_resolution.h"
#include "homeserver/rooms/write/stage.h"

namespace polder::rooms {
namespace {

// Of each state its event, or 0.
using Conflicts = std::map<stores::StateKey, std::vector<EventNumber>>;

// What all states agree on: the first state, but for the conflicted keys.
class Agreed final : public dag::UnconflictedState {
 public:
  Agreed(const RoomView& view, stores::StateRoot first, const Conflicts& conflicts)
      : view_(view), first_(first), conflicts_(conflicts) {}

  Result<std::optional<EventNumber>> find(events::StateKeyView key) const override {
    POLDER_TRY(const auto wanted, view_.state_key(key.type, key.key));
    if (!wanted || conflicts_.contains(*wanted)) return std::optional<EventNumber>();
    return stores::state_get(view_.nodes(), first_, *wanted);
  }

  Status each(const std::function<void(EventNumber)>& visit) const override {
    return stores::state_for_each(view_.nodes(), first_, std::nullopt,
                                  [&](const stores::StateEntry& entry) {
                                    if (!conflicts_.contains(entry.key)) visit(entry.event);
                                    return true;
                                  });
  }

 private:
  const RoomView& view_;
  stores::StateRoot first_;
  const Conflicts& conflicts_;
};

// The keys on which the states differ, with the event of each state.
Result<Conflicts> find_conflicts(const RoomView& view,
                                 const std::vector<stores::StateRoot>& roots) {
  Conflicts conflicts;
  for (size_t i = 1; i < roots.size(); ++i) {
    POLDER_TRY(const auto differences, stores::state_diff(view.nodes(), roots[0], roots[i]));
    for (const stores::StateDifference& difference : differences)
      conflicts[difference.key].resize(roots.size());
  }
  for (auto& [key, events] : conflicts) {
    for (size_t i = 0; i < roots.size(); ++i) {
      POLDER_TRY(const auto event, stores::state_get(view.nodes(), roots[i], key));
      events[i] = event.value_or(0);
    }
  }
  return conflicts;
}

// What the rules make of the states, as what it changes of the first.
Result<std::vector<stores::StateEdit>> resolve(const Room& room, RoomView& view,
                                               const std::vector<stores::StateRoot>& roots) {
  POLDER_TRY(const Conflicts conflicts, find_conflicts(view, roots));
  std::vector<dag::StateKey> keys;  // not moved once conflicts refer to them
  std::vector<dag::ConflictedKey> conflicted;
  keys.reserve(conflicts.size());
  conflicted.reserve(conflicts.size());
  for (const auto& [key, events] : conflicts) {
    POLDER_TRY(std::string type, view.names().name(stores::NameKind::kType, key.type));
    POLDER_TRY(std::string state_key, view.names().name(stores::NameKind::kStateKey, key.key));
    keys.push_back({std::move(type), std::move(state_key)});
    conflicted.push_back({keys.back().view(), events});
  }
  const Agreed agreed(view, roots[0], conflicts);
  POLDER_TRY(const auto resolved, dag::resolve_conflicts(*room.rules, conflicted, agreed, view));
  std::vector<stores::StateEdit> edits;
  for (const dag::ResolvedKey& entry : resolved) {
    POLDER_TRY(const auto key, view.state_key(entry.key.type, entry.key.key));
    // Every event of the room has had its key interned when it was stored.
    if (!key) return fail(ErrorCode::kCorrupt, "a resolved state key has no number");
    edits.push_back({*key, entry.event});
  }
  return edits;
}

// The same, once for the same states: many events may join the same forks. Not kept of what is not
// on disk yet: a number that is not stored in the end is given again.
Result<std::shared_ptr<const Resolution>> remembered_edits(
    const Room& room, RoomView& view, const std::vector<stores::StateRoot>& roots) {
  auto made = std::make_shared<Resolution>();
  for (const stores::StateRoot& root : roots)
    made->states.push_back(root.hash);
  const uint64_t key = resolution_key(made->states);
  auto& kept = view.caches().resolutions;
  if (auto known = kept.find(room.number, key); known && known->states == made->states)
    return known;
  POLDER_TRY(made->edits, resolve(room, view, roots));
  std::shared_ptr<const Resolution> resolution = std::move(made);
  const size_t bytes = sizeof(Resolution) + resolution->states.size() * sizeof(uint64_t) +
                       resolution->edits.size() * sizeof(stores::StateEdit);
  if (room.pending.empty()) kept.insert(room.number, key, resolution, bytes);
  return resolution;
}

}  // namespace

uint64_t resolution_key(std::span<const uint64_t> states) {
  uint64_t key = 0;
  for (const uint64_t state : states)
    key = (key ^ state) * 0x9E3779B97F4A7C15u;
  return key;
}

Result<stores::StateUpdate> resolve_states(const Room& room, RoomView& view,
                                           std::vector<stores::StateRoot> roots,
                                           uint64_t last_node) {
  const auto by_hash = [](const stores::StateRoot& a, const stores::StateRoot& b) {
    return a.hash < b.hash;
  };
  std::ranges::sort(roots, by_hash);
  const auto same = [](const stores::StateRoot& a, const stores::StateRoot& b) {
    return a.hash == b.hash;
  };
  roots.erase(std::unique(roots.begin(), roots.end(), same), roots.end());
  stores::StateUpdate unchanged;
  unchanged.last_node = last_node;
  if (roots.empty()) return unchanged;
  unchanged.root = roots[0];
  if (roots.size() == 1) return unchanged;

  POLDER_TRY(const auto edits, remembered_edits(room, view, roots));
  return stores::state_apply(view.nodes(), roots[0], edits->edits, last_node);
}

}  // namespace polder::rooms
