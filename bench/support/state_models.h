// Three ways to store the states of a room after each of its events, over one interface and one
// database, so that their sizes and times compare: this server's persistent map, and models of what
// two other servers do. All name types, keys and events by number; what the others spend on text
// beyond that is not counted.
#pragma once

#include <memory>

#include "storage/kv/kv.h"
#include "storage/stores/rooms/state_map.h"

namespace polder::bench {

class StateModel {
 public:
  using State = uint64_t;  // 0 is the empty one
  using Entries = std::vector<stores::StateEntry>;

  virtual ~StateModel() = default;
  // A new state, written.
  virtual State apply(State base, std::vector<stores::StateEdit> edits) = 0;
  virtual std::optional<stores::EventNumber> get(State state, stores::StateKey key) = 0;
  virtual Entries all(State state) = 0;  // in the order of the keys
  // How many keys differ.
  virtual size_t difference(State a, State b) = 0;
};

std::unique_ptr<StateModel> make_persistent_map(kv::Database& database);
// As Tuwunel has it: a state is its difference to a parent, at most four deep, merged with the
// parent when it has grown large beside it; whole states are held in memory for the latest used.
std::unique_ptr<StateModel> make_layered_deltas(kv::Database& database);
// As Synapse has it: a group of rows is the difference to the group before, every hundredth (and
// any that removes a key) is whole.
std::unique_ptr<StateModel> make_group_snapshots(kv::Database& database);

}  // namespace polder::bench
