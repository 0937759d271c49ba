#include "storage/stores/rooms/state_map.h"

#include <algorithm>
#include <map>

namespace polder::stores {
namespace {

constexpr int kBitsPerLevel = 3;  // a node has eight items on average

using Item = StateNode::Item;

// Whether a node of this level ends after this key.
bool ends_node(StateKey key, uint8_t level) {
  const int bits = kBitsPerLevel * (level + 1);
  return (mixed(mixed(key.type) ^ key.key) & ((uint64_t{1} << bits) - 1)) == 0;
}

// The first item whose last key is not before the key: where the key is, or would be.
std::vector<Item>::const_iterator find_item(const StateNode& node, StateKey key) {
  return std::ranges::lower_bound(node.items, key, {}, &Item::last);
}

}  // namespace

Result<std::optional<EventNumber>> state_get(const StateNodes& nodes, StateRoot root,
                                             StateKey key) {
  uint64_t number = root.node;
  int level_above = kNodeLevelMax + 1;
  while (number != 0) {
    POLDER_TRY(const StateNodePtr node, nodes.load(number));
    if (node->level >= level_above) return fail(ErrorCode::kCorrupt, "state nodes do not descend");
    level_above = node->level;
    const auto item = find_item(*node, key);
    if (item == node->items.end()) break;
    if (node->level == 0) return item->last == key ? std::optional(item->value) : std::nullopt;
    number = item->value;
  }
  return std::optional<EventNumber>();
}

namespace {

// Walks items in order, loading nodes as it goes; can step over whole subtrees.
class Cursor {
 public:
  Cursor(const StateNodes& nodes, StateRoot root) : nodes_(nodes), root_(root) {}

  Status start() { return root_.node == 0 ? Status() : push(root_.node, kNodeLevelMax + 1); }
  bool at_end() const { return path_.empty(); }
  bool at_leaf() const { return path_.back().node->level == 0; }
  uint8_t level() const { return path_.back().node->level; }
  const Item& item() const { return path_.back().node->items[path_.back().index]; }

  // Into the child of the item.
  Status descend() { return push(item().value, level()); }
  // Past the item and all below it.
  void step() {
    while (!path_.empty() && ++path_.back().index == path_.back().node->items.size())
      path_.pop_back();
  }
  // To the first leaf item not before the key.
  Status seek(StateKey key) {
    path_.clear();
    POLDER_CHECK(start());
    while (!path_.empty()) {
      Place& place = path_.back();
      place.index = static_cast<size_t>(find_item(*place.node, key) - place.node->items.begin());
      if (place.index == place.node->items.size()) {
        // Only in the root can every key be smaller.
        path_.clear();
        return {};
      }
      if (at_leaf()) return {};
      POLDER_CHECK(descend());
    }
    return {};
  }
  // On to the next leaf item.
  Status settle() {
    while (!at_end() && !at_leaf())
      POLDER_CHECK(descend());
    return {};
  }

 private:
  struct Place {
    StateNodePtr node;
    size_t index = 0;
  };
  Status push(uint64_t number, int level_above) {
    POLDER_TRY(StateNodePtr node, nodes_.load(number));
    if (node->level >= level_above) return fail(ErrorCode::kCorrupt, "state nodes do not descend");
    path_.push_back({std::move(node), 0});
    return {};
  }

  const StateNodes& nodes_;
  StateRoot root_;
  std::vector<Place> path_;
};

}  // namespace

Status state_for_each(const StateNodes& nodes, StateRoot root, std::optional<uint32_t> type,
                      const StateVisitor& visit) {
  Cursor cursor(nodes, root);
  POLDER_CHECK(cursor.seek({type.value_or(0), 0}));
  while (!cursor.at_end()) {
    const Item& item = cursor.item();
    if (type && item.last.type != *type) break;
    if (!visit({item.last, item.value})) break;
    cursor.step();
    POLDER_CHECK(cursor.settle());
  }
  return {};
}

Result<std::vector<StateDifference>> state_diff(const StateNodes& nodes, StateRoot before,
                                                StateRoot after, size_t max) {
  std::vector<StateDifference> differences;
  if (before == after) return differences;
  Cursor a(nodes, before);
  Cursor b(nodes, after);
  POLDER_CHECK(a.start());
  POLDER_CHECK(b.start());
  while ((!a.at_end() || !b.at_end()) && differences.size() < max) {
    if (!a.at_end() && !b.at_end() && a.level() > 0 && a.level() == b.level() &&
        a.item().hash == b.item().hash && a.item().last == b.item().last) {
      a.step();  // equal subtrees
      b.step();
    } else if (!a.at_end() && a.level() > 0 && (b.at_end() || a.level() >= b.level())) {
      POLDER_CHECK(a.descend());
    } else if (!b.at_end() && b.level() > 0) {
      POLDER_CHECK(b.descend());
    } else if (b.at_end() || (!a.at_end() && a.item().last < b.item().last)) {
      differences.push_back({a.item().last, a.item().value, std::nullopt});
      a.step();
    } else if (a.at_end() || b.item().last < a.item().last) {
      differences.push_back({b.item().last, std::nullopt, b.item().value});
      b.step();
    } else {
      if (a.item().value != b.item().value)
        differences.push_back({a.item().last, a.item().value, b.item().value});
      a.step();
      b.step();
    }
  }
  return differences;
}

namespace {

// Changes to the items of one level: an item to set under its last key, or to remove.
using Edits = std::map<StateKey, std::optional<Item>>;

// Rebuilds a tree level by level: the edits of one level touch some of its nodes; which of them
// were replaced by which is the edits of the level above.
class Rebuild {
 public:
  Rebuild(const StateNodes& nodes, uint64_t last_node)
      : nodes_(nodes),
        last_node_(last_node),
        number_((last_node / kNodesPerRow + 1) * kNodesPerRow) {}

  Result<StateUpdate> run(StateRoot root, Edits edits) {
    std::vector<Item> top;  // the items of the level above the root
    uint8_t level = 0;
    if (root.node != 0) {
      POLDER_TRY(const StateNodePtr node, nodes_.load(root.node));
      for (; level <= node->level; ++level) {
        POLDER_TRY(edits, rebuild_level(root, level, edits));
        if (edits.empty()) return finish(root);
      }
      top.push_back({node->items.back().last, root.node, root.hash});
    }
    top = merge(top, edits);
    while (top.size() > 1 || (level == 0 && !top.empty())) {
      top = close_nodes(top, level, {});
      ++level;
    }
    if (top.empty()) return finish({});
    POLDER_TRY(const StateRoot collapsed, collapse({top[0].value, top[0].hash}));
    return finish(collapsed);
  }

 private:
  static std::vector<Item> merge(const std::vector<Item>& items, const Edits& edits) {
    std::map<StateKey, Item> merged;
    for (const Item& item : items)
      merged.emplace(item.last, item);
    for (const auto& [key, item] : edits) {
      if (item) {
        merged.insert_or_assign(key, *item);
      } else {
        merged.erase(key);
      }
    }
    std::vector<Item> out;
    for (const auto& [key, item] : merged)
      out.push_back(item);
    return out;
  }

  // A node that others replace: they may be written as edits of it.
  struct Base {
    uint64_t number = 0;
    StateNodePtr node;
  };

  // Cuts items into nodes; gives the items that name them.
  std::vector<Item> close_nodes(const std::vector<Item>& items, uint8_t level, const Base& base) {
    std::vector<Item> parents;
    StateNode node{level, 0, {}};
    for (size_t i = 0; i < items.size(); ++i) {
      node.items.push_back(items[i]);
      if (i + 1 < items.size() && !ends_node(items[i].last, level)) continue;
      parents.push_back(add(std::exchange(node, StateNode{level, 0, {}}), base));
    }
    return parents;
  }

  Item add(StateNode node, const Base& base) {
    const Item parent{node.items.back().last, number_++, node.content_hash()};
    made_.emplace(parent.value,
                  written_node(parent.value, std::move(node), base.number, base.node));
    return parent;
  }

  // The node of a level in which the key is or would be: the last one for keys beyond all. Gives
  // the item that names it (number 0 for none to the right of `after`).
  Result<std::optional<Item>> locate(StateRoot root, uint8_t level, StateKey key) const {
    uint64_t number = root.node;
    Item name{{}, root.node, root.hash};
    for (;;) {
      POLDER_TRY(const StateNodePtr node, nodes_.load(number));
      name.last = node->items.back().last;
      if (node->level == level) return std::optional(name);
      auto item = find_item(*node, key);
      if (item == node->items.end()) --item;
      name = *item;
      number = item->value;
    }
  }

  Result<Edits> rebuild_level(StateRoot root, uint8_t level, const Edits& edits) {
    Edits above;
    auto edit = edits.begin();
    while (edit != edits.end()) {
      POLDER_TRY(auto name, locate(root, level, edit->first));
      std::vector<Item> items;
      std::vector<Item> replaced;
      Base base;  // the first of them
      // Takes in this node, and those to its right as long as the last one no longer ends itself.
      for (;;) {
        POLDER_TRY(const StateNodePtr node, nodes_.load(name->value));
        if (replaced.empty()) base = {name->value, node};
        replaced.push_back(*name);
        const StateKey last = node->items.back().last;
        POLDER_TRY(const auto next, next_node(root, level, last));
        Edits inside;
        for (; edit != edits.end() && (!next || edit->first <= last); ++edit)
          inside.insert(*edit);
        for (const Item& item : merge(node->items, inside))
          items.push_back(item);
        if (!next || (!items.empty() && ends_node(items.back().last, level)) || items.empty())
          break;
        name = next;
      }
      record(replaced, close_nodes(items, level, base), above);
    }
    return above;
  }

  // The node to the right of the one that ends with this key.
  Result<std::optional<Item>> next_node(StateRoot root, uint8_t level, StateKey last) const {
    const StateKey beyond{last.type, last.key + 1};
    POLDER_TRY(const auto name, locate(root, level, beyond));
    return name->last <= last ? std::optional<Item>() : name;
  }

  static void record(const std::vector<Item>& replaced, const std::vector<Item>& parents,
                     Edits& above) {
    for (const Item& old : replaced)
      above[old.last] = std::nullopt;
    for (const Item& parent : parents) {
      const auto same = std::ranges::find_if(replaced, [&](const Item& old) {
        return old.last == parent.last && old.hash == parent.hash;
      });
      if (same != replaced.end()) {
        above.erase(parent.last);  // the same content again: the old node stays
      } else {
        above[parent.last] = parent;
      }
    }
  }

  // A root with one child is no root: the child is.
  Result<StateRoot> collapse(StateRoot root) const {
    for (;;) {
      const auto made = made_.find(root.node);
      StateNodePtr node = made != made_.end() ? made->second.node : nullptr;
      if (!node) {
        POLDER_TRY(node, nodes_.load(root.node));
      }
      if (node->level == 0 || node->items.size() > 1) return root;
      root = {node->items[0].value, node->items[0].hash};
    }
  }

  // Keeps of the nodes made only those that the root reaches.
  StateUpdate finish(StateRoot root) {
    StateUpdate update;
    update.root = root;
    std::vector<uint64_t> todo = {root.node};
    while (!todo.empty()) {
      const auto made = made_.extract(todo.back());
      todo.pop_back();
      if (made.empty()) continue;
      if (made.mapped().node->level > 0) {
        for (const Item& item : made.mapped().node->items)
          todo.push_back(item.value);
      }
      update.new_nodes.push_back(std::move(made.mapped()));
    }
    std::ranges::sort(update.new_nodes, {}, &WrittenNode::number);
    update.last_node = update.new_nodes.empty() ? last_node_ : update.new_nodes.back().number;
    return update;
  }

  const StateNodes& nodes_;
  const uint64_t last_node_;
  uint64_t number_;  // of the next node
  std::map<uint64_t, WrittenNode> made_;
};

}  // namespace

Result<StateUpdate> state_apply(const StateNodes& nodes, StateRoot root,
                                std::vector<StateEdit> edits, uint64_t last_node) {
  Edits items;
  for (const StateEdit& edit : edits) {
    items[edit.key] = edit.event ? std::optional(Item{edit.key, *edit.event, 0}) : std::nullopt;
  }
  return Rebuild(nodes, last_node).run(root, std::move(items));
}

void put_state_nodes(kv::Batch& batch, RoomNumber room, const StateUpdate& update) {
  const auto row_of = [](const WrittenNode& node) { return node.number / kNodesPerRow; };
  for (auto node = update.new_nodes.begin(); node != update.new_nodes.end();) {
    const uint64_t row = row_of(*node);
    const auto end = std::find_if(node, update.new_nodes.end(),
                                  [&](const WrittenNode& other) { return row_of(other) != row; });
    put_state_row(batch, room, row, {node, end});
    node = end;
  }
}

}  // namespace polder::stores
