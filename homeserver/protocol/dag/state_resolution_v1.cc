#include "homeserver/protocol/dag/state_resolution_v1.h"

#include <algorithm>
#include <array>
#include <string>

#include "homeserver/base/crypto/hash.h"
#include "homeserver/protocol/dag/authorise.h"
#include "homeserver/protocol/dag/event_cache.h"
#include "homeserver/protocol/dag/resolved_state.h"

namespace polder::dag {

using events::Event;

namespace {

// The result so far, and on top of it the candidate that the next one is checked against.
class CandidateState final : public AuthState {
 public:
  CandidateState(EventCache& cache, ResolvedState& resolved) : cache_(cache), resolved_(resolved) {}

  void put(const Event* candidate) { candidate_ = candidate; }

  Result<const Event*> find(events::StateKeyView key) const override {
    if (candidate_ && candidate_->is_state(key.type, key.key)) return candidate_;
    POLDER_TRY(const auto slot, resolved_.find(key));
    if (!slot) return static_cast<const Event*>(nullptr);
    return cache_.event(*slot);
  }

 private:
  EventCache& cache_;
  ResolvedState& resolved_;
  const Event* candidate_ = nullptr;
};

// A conflicting event with what orders it.
struct Candidate {
  Slot slot = 0;
  const Event* event = nullptr;
  std::array<uint8_t, 20> hash{};  // SHA-1 of the event id
};

class ResolutionV1 {
 public:
  ResolutionV1(std::span<const ConflictedKey> conflicted, const UnconflictedState& unconflicted,
               Source& source)
      : conflicted_(conflicted), cache_(source), resolved_(cache_, &unconflicted, conflicted) {}

  Result<std::vector<ResolvedKey>> run();

 private:
  using Block = std::vector<Candidate>;  // the candidates for one key, oldest first

  Status add(const ConflictedKey& conflict);
  Result<Slot> pick_auth_event(const Block& block);
  Result<Slot> pick_other_event(const Block& block);
  Status pass(std::string_view type);
  Status last_pass();

  std::span<const ConflictedKey> conflicted_;
  EventCache cache_;
  ResolvedState resolved_;
  std::vector<Block> blocks_;
};

// Only different events are in conflict: where some states have none, the others' one stands.
Status ResolutionV1::add(const ConflictedKey& conflict) {
  std::vector<EventNumber> numbers;
  for (const EventNumber number : conflict.events) {
    if (number != 0) numbers.push_back(number);
  }
  std::sort(numbers.begin(), numbers.end());
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  if (numbers.size() == 1) return resolved_.set(cache_.slot_of(numbers.front()));
  Block block;
  for (EventNumber number : numbers) {
    const Slot slot = cache_.slot_of(number);
    POLDER_TRY(const Event* event, cache_.event(slot));
    block.push_back({slot, event, crypto::sha1(event->id().view())});
  }
  std::sort(block.begin(), block.end(), [](const Candidate& a, const Candidate& b) {
    if (a.event->depth() != b.event->depth()) return a.event->depth() < b.event->depth();
    return a.hash > b.hash;
  });
  if (!block.empty()) blocks_.push_back(std::move(block));
  return {};
}

// The first stands; each later one replaces it as long as the state with its predecessor allows it.
Result<Slot> ResolutionV1::pick_auth_event(const Block& block) {
  CandidateState state(cache_, resolved_);
  Slot picked = block.front().slot;
  state.put(block.front().event);
  for (size_t i = 1; i < block.size(); ++i) {
    Status allowed = authorise(*block[i].event, state);
    if (!allowed.ok()) {
      if (allowed.error().code != ErrorCode::kForbidden) return allowed.error();
      break;
    }
    picked = block[i].slot;
    state.put(block[i].event);
  }
  return picked;
}

// The newest that the state allows. Where it allows none, the oldest stands: the specification is
// silent, and this is what servers do that have rooms of version 1.
Result<Slot> ResolutionV1::pick_other_event(const Block& block) {
  CandidateState state(cache_, resolved_);
  for (auto candidate = block.rbegin(); candidate != block.rend(); ++candidate) {
    Status allowed = authorise(*candidate->event, state);
    if (allowed.ok()) return candidate->slot;
    if (allowed.error().code != ErrorCode::kForbidden) return allowed.error();
  }
  return block.front().slot;
}

// One type at a time; what a pass picks counts from the next pass on, so that the order of keys
// does not matter.
Status ResolutionV1::pass(std::string_view type) {
  std::vector<Slot> picked;
  std::vector<Block> others;
  for (Block& block : blocks_) {
    if (!block.front().event->is(type)) {
      others.push_back(std::move(block));
      continue;
    }
    POLDER_TRY(const Slot slot, pick_auth_event(block));
    picked.push_back(slot);
  }
  blocks_ = std::move(others);
  for (const Slot slot : picked)
    POLDER_CHECK(resolved_.set(slot));
  return {};
}

Status ResolutionV1::last_pass() {
  std::vector<Slot> picked;
  for (const Block& block : blocks_) {
    POLDER_TRY(const Slot slot, pick_other_event(block));
    picked.push_back(slot);
  }
  for (const Slot slot : picked)
    POLDER_CHECK(resolved_.set(slot));
  return {};
}

Result<std::vector<ResolvedKey>> ResolutionV1::run() {
  for (const ConflictedKey& conflict : conflicted_)
    POLDER_CHECK(add(conflict));
  POLDER_CHECK(pass("m.room.power_levels"));
  POLDER_CHECK(pass("m.room.join_rules"));
  POLDER_CHECK(pass("m.room.member"));
  POLDER_CHECK(last_pass());
  return resolved_.conflicted();
}

}  // namespace

// https://spec.matrix.org/v1.19/rooms/v1/#state-resolution
//   1. Start with what does not conflict.
//   2. Power levels events in conflict, by ascending depth, then descending SHA-1 of the event id:
//      take the first, then each next one that the state so far allows, until one is refused.
//   3. The same for join rules, 4. and for members.
//   5. Of all other keys, the event of the highest depth, then lowest SHA-1, that the state allows.
Result<std::vector<ResolvedKey>> resolve_conflicts_v1(std::span<const ConflictedKey> conflicted,
                                                      const UnconflictedState& unconflicted,
                                                      Source& source) {
  return ResolutionV1(conflicted, unconflicted, source).run();
}

}  // namespace polder::dag
