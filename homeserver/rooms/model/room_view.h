// One room as synchronous code reads it: what was staged but is not yet on disk, on top of a
// snapshot.
#pragma once

#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "homeserver/protocol/dag/source.h"
#include "homeserver/protocol/events/event.h"
#include "homeserver/rooms/model/chain_view.h"
#include "homeserver/rooms/model/kept_events.h"
#include "homeserver/rooms/model/ports.h"
#include "storage/stores/base/names.h"
#include "storage/stores/rooms/relation_rows.h"
#include "storage/stores/rooms/room_rows.h"
#include "storage/stores/rooms/state_map.h"

namespace polder::rooms {

class ShownEvent;

// What several states resolve to, as what it changes of the first.
struct Resolution {
  std::vector<uint64_t> states;  // by the hashes of their content
  std::vector<stores::StateEdit> edits;
};

// What was read lately, of all rooms, decoded. An event is kept if it is state, which authorises
// others again and again; and as it is shown, if somebody synced it. States are resolved once,
// however often somebody builds on the same forks.
struct Caches {
  explicit Caches(size_t bytes_max);

  stores::StateNodeCache nodes;
  stores::RoomCache<events::Event> events;
  ChainCache chains;
  stores::RoomCache<ShownEvent> shown;
  stores::RoomCache<Resolution> resolutions;  // by a hash of the states
};

void keep_event(Caches& caches, RoomNumber room, EventNumber number, events::EventPtr event);

// What of a room is read through a RoomView: readers have one with nothing pending.
struct RoomContent {
  explicit RoomContent(RoomNumber room, const events::RoomVersionRules* version = nullptr)
      : number(room), rules(version) {}

  const RoomNumber number;
  const events::RoomVersionRules* rules = nullptr;
  // Staged, not yet durable. Erased after the commit.
  std::unordered_map<EventNumber, HeldEvent> pending;
  std::unordered_map<EventId, EventNumber> pending_ids;
  std::unordered_map<EventNumber, EventNumber> pending_chain_ends;  // by chain
  KeptEvents kept;
  stores::StateNodes::Overlay pending_nodes;
};

// What of an event's content is read.
enum class Content : uint8_t {
  kAsSent,     // for the rules, which go by what was hashed and signed
  kAsVisible,  // what redaction left of it: for everybody else
};

// One room as synchronous code sees it during a turn: the staged on top of a snapshot. What it
// reads stays valid as long as it lives.
class RoomView final : public dag::Source {
 public:
  RoomView(const RoomContent& room, const kv::Snapshot& snapshot, const stores::Names& names,
           Caches& caches, Content content = Content::kAsSent)
      : room_(room),
        snapshot_(snapshot),
        names_(names),
        caches_(caches),
        nodes_(room.number, snapshot, caches.nodes, &room.pending_nodes),
        chains_(room, snapshot, caches.chains) {
    if (content == Content::kAsVisible) redactions_.emplace(snapshot, room.number);
  }

  // The same, of what redaction left.
  RoomView as_visible() const { return {room_, snapshot_, names_, caches_, Content::kAsVisible}; }

  // Nothing if the event is not of this room or not here.
  Result<std::optional<EventNumber>> find(const EventId& id) const;
  // An event that was redacted comes redacted, unless the view reads what was sent.
  Result<HeldEvent> load(EventNumber number) const;
  Result<stores::EventRecord> record(EventNumber number) const;
  // Nothing if it is not there: what links lead to may have been purged.
  Result<std::optional<stores::EventRecord>> find_record(EventNumber number) const;

  // The event that sets (type, key) in a state; null if none.
  Result<events::EventPtr> state_event(stores::StateRoot root, std::string_view type,
                                       std::string_view key) const;
  Result<std::optional<EventNumber>> state_number(stores::StateRoot root, std::string_view type,
                                                  std::string_view key) const;
  // The interned key; nothing if type or key was never interned (then no state has it).
  Result<std::optional<stores::StateKey>> state_key(std::string_view type,
                                                    std::string_view key) const;
  const stores::StateNodes& nodes() const { return nodes_; }
  const stores::Names& names() const { return names_; }
  const kv::Snapshot& snapshot() const { return snapshot_; }
  Caches& caches() const { return caches_; }

  // dag::Source
  Result<events::EventPtr> event(dag::EventNumber number) override;
  Result<std::optional<dag::EventNumber>> number_of(const EventId& id) override { return find(id); }
  Status auth_events(dag::EventNumber number, std::vector<dag::EventNumber>& out) override;
  Result<bool> is_rejected(dag::EventNumber number) override;
  Result<dag::ChainPlace> chain_place(dag::EventNumber number) override {
    return chains_.chain_place(number);
  }
  // The place of a new state event in the index over auth chains.
  Result<dag::NewChainPlace> choose_place(EventNumber number, const HeldEvent& held);

 private:
  Result<events::EventPtr> load_event(EventNumber number) const;

  const RoomContent& room_;
  const kv::Snapshot& snapshot_;
  const stores::Names& names_;
  Caches& caches_;
  stores::StateNodes nodes_;
  ChainView chains_;
  mutable std::optional<stores::RedactionLookup> redactions_;  // of what is read as it is visible
  mutable std::unordered_map<EventNumber, HeldEvent> loaded_;
};

}  // namespace polder::rooms
