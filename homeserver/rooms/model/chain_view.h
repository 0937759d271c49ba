// A room's index over auth chains (dag/auth_chains.h), as far as a turn reads it: what was staged
// on top of a snapshot's rows, which are read and kept a page of event numbers at a time.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "homeserver/protocol/dag/auth_chains.h"
#include "storage/kv/kv.h"
#include "storage/stores/base/names.h"
#include "storage/stores/rooms/event_rows.h"
#include "storage/stores/rooms/room_cache.h"

namespace polder::rooms {

struct RoomContent;

// The places of the state events among kEvents successive numbers.
class ChainPage {
 public:
  static constexpr dag::EventNumber kEvents = 256;

  static Result<std::shared_ptr<const ChainPage>> read(const kv::Snapshot& snapshot,
                                                       stores::RoomNumber room, uint64_t page);
  std::optional<dag::ChainPlace> find(dag::EventNumber number) const;
  size_t bytes() const;

 private:
  struct Entry {
    dag::EventNumber chain;
    dag::EventNumber before;
    dag::EventNumber linked;
    size_t first_link;
    size_t links;
  };

  std::array<uint16_t, kEvents> entry_of_{};  // from 1; 0 is no state event
  std::vector<Entry> entries_;
  std::vector<dag::ChainLink> links_;
};

using ChainCache = stores::RoomCache<ChainPage>;

// Borrows all that it is given. One thread at a time.
class ChainView final : public dag::ChainIndex {
 public:
  ChainView(const RoomContent& room, const kv::Snapshot& snapshot, ChainCache& cache)
      : room_(room), snapshot_(snapshot), cache_(cache) {}

  Result<dag::ChainPlace> chain_place(dag::EventNumber number) override;
  // Whether nothing follows the event on its chain.
  Result<bool> is_end(dag::EventNumber number);

 private:
  Result<const ChainPage*> page(uint64_t number);

  const RoomContent& room_;
  const kv::Snapshot& snapshot_;
  ChainCache& cache_;
  std::unordered_map<uint64_t, std::shared_ptr<const ChainPage>> pages_;
};

void put_chain_place(kv::Batch& batch, stores::EventPlace event, const dag::NewChainPlace& place);

}  // namespace polder::rooms
