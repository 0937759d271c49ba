#include "bench/support/state_models.h"

#include <algorithm>
#include <list>
#include <map>
#include <unordered_map>

#include "bench/support/bench.h"
#include "storage/keys/key.h"
#include "storage/stores/base/columns.h"

namespace polder::bench {
namespace {

using stores::EventNumber;
using stores::StateEdit;
using stores::StateEntry;
using stores::StateKey;
using Entries = StateModel::Entries;

constexpr stores::RoomNumber kRoom = 1;
constexpr size_t kNodesHeldBytes = size_t{8} << 20;
constexpr size_t kStacksHeld = 100;  // Tuwunel's default for each core
constexpr size_t kLayersMax = 4;     // likewise
constexpr size_t kHopsMax = 100;     // Synapse's MAX_STATE_DELTA_HOPS

void write(kv::Database& database, const kv::Batch& batch) {
  const kv::Batch* const batches[] = {&batch};
  must(database.write(batches, 1, false));
}

EventNumber* find_event(Entries& entries, StateKey key) {
  const auto found = std::ranges::lower_bound(entries, key, {}, &StateEntry::key);
  return found != entries.end() && found->key == key ? &found->event : nullptr;
}

size_t count_differences(const Entries& a, const Entries& b) {
  size_t count = 0;
  for (auto x = a.begin(), y = b.begin(); x != a.end() || y != b.end();) {
    if (y == b.end() || (x != a.end() && x->key < y->key)) {
      ++count, ++x;
    } else if (x == a.end() || y->key < x->key) {
      ++count, ++y;
    } else {
      count += x->event != y->event;
      ++x, ++y;
    }
  }
  return count;
}

class PersistentMap final : public StateModel {
 public:
  explicit PersistentMap(kv::Database& database) : database_(database), cache_(kNodesHeldBytes) {}

  State apply(State base, std::vector<StateEdit> edits) override {
    const auto snapshot = database_.snapshot();
    const auto update =
        must(state_apply({kRoom, *snapshot, cache_}, roots_[base], std::move(edits), last_node_));
    last_node_ = update.last_node;
    kv::Batch batch;
    put_state_nodes(batch, kRoom, update);
    if (!batch.empty()) write(database_, batch);
    for (const stores::WrittenNode& written : update.new_nodes)
      keep_node(cache_, kRoom, written.number, written.node);
    roots_.push_back(update.root);
    return roots_.size() - 1;
  }
  std::optional<EventNumber> get(State state, StateKey key) override {
    const auto snapshot = database_.snapshot();
    return must(state_get({kRoom, *snapshot, cache_}, roots_[state], key));
  }
  Entries all(State state) override {
    const auto snapshot = database_.snapshot();
    Entries entries;
    must(state_for_each({kRoom, *snapshot, cache_}, roots_[state], std::nullopt,
                        [&](const StateEntry& entry) {
                          entries.push_back(entry);
                          return true;
                        }));
    return entries;
  }
  size_t difference(State a, State b) override {
    const auto snapshot = database_.snapshot();
    return must(state_diff({kRoom, *snapshot, cache_}, roots_[a], roots_[b])).size();
  }

 private:
  kv::Database& database_;
  stores::StateNodeCache cache_;
  std::vector<stores::StateRoot> roots_ = {{}};
  uint64_t last_node_ = 0;
};

class LayeredDeltas final : public StateModel {
 public:
  explicit LayeredDeltas(kv::Database& database) : database_(database) {}

  State apply(State base, std::vector<StateEdit> edits) override {
    Stack parents = base == 0 ? Stack() : load(base);
    Layer change;
    for (const StateEdit& edit : edits) {
      if (!parents.empty()) {
        Entries& whole = *parents.back().whole;
        if (const EventNumber* old = find_event(whole, edit.key))
          change.removed.push_back({edit.key, *old});
      }
      if (edit.event) change.added.push_back({edit.key, *edit.event});
    }
    std::ranges::sort(change.added, {}, &StateEntry::key);
    std::ranges::sort(change.removed, {}, &StateEntry::key);
    return save(std::move(change), 2, std::move(parents));
  }
  std::optional<EventNumber> get(State state, StateKey key) override {
    const Stack stack = load(state);
    const EventNumber* event = find_event(*stack.back().whole, key);
    return event == nullptr ? std::nullopt : std::optional(*event);
  }
  Entries all(State state) override { return *load(state).back().whole; }
  size_t difference(State a, State b) override {
    const auto x = load(a).back().whole, y = load(b).back().whole;
    return count_differences(*x, *y);
  }

 private:
  struct Layer {
    State state = 0, parent = 0;
    Entries added = {}, removed = {};
    std::shared_ptr<Entries> whole = {};
    size_t size() const { return added.size() + removed.size(); }
  };
  using Stack = std::vector<Layer>;

  // What the two changes are together.
  static Layer merged(const Layer& first, const Layer& second) {
    std::map<StateKey, EventNumber> added, removed;
    for (const StateEntry& entry : first.added)
      added[entry.key] = entry.event;
    for (const StateEntry& entry : first.removed)
      removed[entry.key] = entry.event;
    for (const StateEntry& entry : second.removed) {
      const auto found = added.find(entry.key);
      if (found != added.end() && found->second == entry.event) {
        added.erase(found);
      } else {
        removed[entry.key] = entry.event;
      }
    }
    for (const StateEntry& entry : second.added) {
      const auto found = removed.find(entry.key);
      if (found != removed.end() && found->second == entry.event) {
        removed.erase(found);
      } else {
        added[entry.key] = entry.event;
      }
    }
    Layer layer;
    for (const auto& [key, event] : added)
      layer.added.push_back({key, event});
    for (const auto& [key, event] : removed)
      layer.removed.push_back({key, event});
    return layer;
  }

  State save(Layer change, size_t size_of_sibling, Stack parents) {
    while (!parents.empty()) {
      const size_t size = change.size();
      const Layer& parent = parents.back();
      if (parents.size() < kLayersMax && size * size < 2 * size_of_sibling * parent.size()) {
        change.parent = parent.state;
        break;
      }
      change = merged(parent, change);
      size_of_sibling = size;
      parents.pop_back();
    }
    put(++last_, change);
    return last_;
  }

  void put(State state, const Layer& layer) {
    keys::KeyWriter value;
    value.u64(layer.parent);
    append(value, layer.added);
    if (!layer.removed.empty()) {
      value.u64(0);
      append(value, layer.removed);
    }
    kv::Batch batch;
    batch.put(stores::kStateNodes, keys::KeyWriter().u64(state), value);
    write(database_, batch);
  }
  // Type and key are one number there.
  static void append(keys::KeyWriter& value, const Entries& entries) {
    for (const StateEntry& entry : entries)
      value.u64(uint64_t{entry.key.type} << 48 | entry.key.key).u64(entry.event);
  }
  static StateEntry entry_of(uint64_t key, EventNumber event) {
    return {{static_cast<uint32_t>(key >> 48), key & 0xffff'ffff'ffff}, event};
  }

  Layer read(State state) const {
    const auto value =
        must(database_.snapshot()->get(stores::kStateNodes, keys::KeyWriter().u64(state).str()));
    if (!value) give_up(fail(ErrorCode::kCorrupt, "a state is missing"));
    keys::KeyReader reader(*value);
    Layer layer{.state = state, .parent = reader.u64()};
    for (Entries* into = &layer.added; !reader.at_end();) {
      const uint64_t key = reader.u64();
      if (key == 0) {
        into = &layer.removed;
      } else {
        into->push_back(entry_of(key, reader.u64()));
      }
    }
    return layer;
  }

  Stack load(State state) {
    if (const auto held = stacks_.find(state); held != stacks_.end()) {
      recent_.splice(recent_.begin(), recent_, held->second.second);
      return held->second.first;
    }
    Layer layer = read(state);
    Stack stack = layer.parent == 0 ? Stack() : load(layer.parent);
    layer.whole = stack.empty() ? std::make_shared<Entries>(layer.added)
                                : std::make_shared<Entries>(applied(*stack.back().whole, layer));
    stack.push_back(std::move(layer));
    recent_.push_front(state);
    stacks_.emplace(state, std::pair(stack, recent_.begin()));
    if (recent_.size() > kStacksHeld) {
      stacks_.erase(recent_.back());
      recent_.pop_back();
    }
    return stack;
  }
  static Entries applied(const Entries& whole, const Layer& layer) {
    Entries kept, result;
    std::ranges::set_difference(whole, layer.removed, std::back_inserter(kept), {},
                                &StateEntry::key, &StateEntry::key);
    std::ranges::merge(kept, layer.added, std::back_inserter(result), {}, &StateEntry::key,
                       &StateEntry::key);
    return result;
  }

  kv::Database& database_;
  State last_ = 0;
  std::list<State> recent_;
  std::unordered_map<State, std::pair<Stack, std::list<State>::iterator>> stacks_;
};

class GroupSnapshots final : public StateModel {
 public:
  explicit GroupSnapshots(kv::Database& database) : database_(database) {}

  State apply(State base, std::vector<StateEdit> edits) override {
    const bool removes = std::ranges::any_of(edits, [](const StateEdit& e) { return !e.event; });
    const size_t hops = base == 0 ? 0 : groups_[base].hops + 1;
    const State group = groups_.size();
    kv::Batch batch;
    if (base == 0 || removes || hops > kHopsMax) {
      std::map<StateKey, EventNumber> whole;
      for (const StateEntry& entry : all(base))
        whole[entry.key] = entry.event;
      for (const StateEdit& edit : edits) {
        if (edit.event) {
          whole[edit.key] = *edit.event;
        } else {
          whole.erase(edit.key);
        }
      }
      for (const auto& [key, event] : whole)
        batch.put(stores::kStateNodes, row_key(group, key), keys::KeyWriter().u64(event));
      groups_.push_back({});
    } else {
      for (const StateEdit& edit : edits)
        batch.put(stores::kStateNodes, row_key(group, edit.key),
                  keys::KeyWriter().u64(*edit.event));
      groups_.push_back({.before = base, .hops = hops});
    }
    // The edge to the group before.
    batch.put(stores::kStateNodes, keys::KeyWriter().u64(group),
              keys::KeyWriter().u64(groups_.back().before));
    write(database_, batch);
    return group;
  }
  std::optional<EventNumber> get(State state, StateKey key) override {
    const auto snapshot = database_.snapshot();
    for (State group = state; group != 0; group = before(*snapshot, group)) {
      const auto row = must(snapshot->get(stores::kStateNodes, row_key(group, key).str()));
      if (row) return keys::KeyReader(*row).u64();
    }
    return std::nullopt;
  }
  Entries all(State state) override {
    const auto snapshot = database_.snapshot();
    std::map<StateKey, EventNumber> whole;  // of the latest group that has the key
    for (State group = state; group != 0; group = before(*snapshot, group)) {
      const auto rows = snapshot->iterate(stores::kStateNodes,
                                          kv::prefix_range(keys::KeyWriter().u64(group).str()));
      for (rows->seek_to_first(); rows->valid(); rows->next()) {
        keys::KeyReader key(rows->key().substr(sizeof(State)));
        if (key.at_end()) continue;  // the edge
        const uint32_t type = key.u32();
        whole.emplace(StateKey{type, key.u64()}, keys::KeyReader(rows->value()).u64());
      }
      must(rows->status());
    }
    Entries entries;
    for (const auto& [key, event] : whole)
      entries.push_back({key, event});
    return entries;
  }
  size_t difference(State a, State b) override { return count_differences(all(a), all(b)); }

 private:
  struct Group {
    State before = 0;
    size_t hops = 0;
  };
  static keys::KeyWriter row_key(State group, StateKey key) {
    keys::KeyWriter writer;
    writer.u64(group).u32(key.type).u64(key.key);
    return writer;
  }
  static State before(const kv::Snapshot& snapshot, State group) {
    const auto edge = must(snapshot.get(stores::kStateNodes, keys::KeyWriter().u64(group).str()));
    return edge ? keys::KeyReader(*edge).u64() : 0;
  }

  kv::Database& database_;
  std::vector<Group> groups_ = {{}};
};

}  // namespace

std::unique_ptr<StateModel> make_persistent_map(kv::Database& database) {
  return std::make_unique<PersistentMap>(database);
}

std::unique_ptr<StateModel> make_layered_deltas(kv::Database& database) {
  return std::make_unique<LayeredDeltas>(database);
}

std::unique_ptr<StateModel> make_group_snapshots(kv::Database& database) {
  return std::make_unique<GroupSnapshots>(database);
}

}  // namespace polder::bench
