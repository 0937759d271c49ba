#include "homeserver/protocol/dag/resolved_state.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <string_view>

namespace polder::dag {
namespace {

// Found by their types alone.
constexpr std::array<std::string_view, 3> kOfEveryRoom = {"m.room.create", "m.room.power_levels",
                                                          "m.room.join_rules"};

uint64_t mix(uint64_t hash, std::string_view text) {
  constexpr uint64_t kFactor = 0x9E3779B97F4A7C15u;
  hash = (hash ^ text.size()) * kFactor;
  for (; text.size() >= sizeof hash; text.remove_prefix(sizeof hash)) {
    uint64_t word = 0;
    std::memcpy(&word, text.data(), sizeof word);
    hash = (std::rotl(hash, 29) ^ word) * kFactor;
  }
  uint64_t rest = 0;
  std::memcpy(&rest, text.data(), text.size());
  return (std::rotl(hash, 29) ^ rest) * kFactor;
}

size_t hash_of(events::StateKeyView key) {
  const uint64_t hash = mix(mix(0, key.type), key.key);
  return hash ^ hash >> 32;
}

std::optional<uint32_t> position_in_every_room(events::StateKeyView key) {
  if (!key.key.empty()) return std::nullopt;
  if (key.type == kOfEveryRoom[0]) return 0;
  if (key.type == kOfEveryRoom[1]) return 1;
  if (key.type == kOfEveryRoom[2]) return 2;
  return std::nullopt;
}

}  // namespace

ResolvedState::ResolvedState(EventCache& cache, const UnconflictedState* base,
                             std::span<const ConflictedKey> conflicted)
    : cache_(cache),
      base_(base),
      conflicted_(cache.memory()),
      entries_(cache.memory()),
      table_(cache.memory()) {
  entries_.reserve(kOfEveryRoom.size() + 2 * conflicted.size());  // and who sent these
  for (const std::string_view type : kOfEveryRoom)
    entries_.push_back({.key = {type, ""}});
  conflicted_.reserve(conflicted.size());
  for (const ConflictedKey& conflict : conflicted) {
    Entry& entry = this->entry(conflict.key);
    entry.has_base = true;
    conflicted_.push_back(static_cast<uint32_t>(&entry - entries_.data()));
  }
}

ResolvedState::Place ResolvedState::place_of(events::StateKeyView key) const {
  if (const auto position = position_in_every_room(key)) return {.entry = position};
  Place place{.hash = hash_of(key)};
  if (table_.empty()) return place;
  const size_t mask = table_.size() - 1;
  for (place.at = place.hash & mask; table_[place.at] != 0; place.at = (place.at + 1) & mask) {
    const Entry& entry = entries_[table_[place.at] - 1];
    if (entry.hash != place.hash || entry.key != key) continue;
    place.entry = table_[place.at] - 1;
    break;
  }
  return place;
}

ResolvedState::Entry& ResolvedState::entry(events::StateKeyView key) {
  if ((entries_.size() + 1) * 2 > table_.size()) grow();
  const Place place = place_of(key);
  if (place.entry) return entries_[*place.entry];
  entries_.push_back({.key = key, .hash = place.hash});
  table_[place.at] = static_cast<uint32_t>(entries_.size());
  return entries_.back();
}

void ResolvedState::grow() {
  table_.assign(std::max<size_t>(32, table_.size() * 2), 0);
  const size_t mask = table_.size() - 1;
  for (auto i = static_cast<uint32_t>(kOfEveryRoom.size()); i < entries_.size(); ++i) {
    size_t at = entries_[i].hash & mask;
    while (table_[at] != 0)
      at = (at + 1) & mask;
    table_[at] = i + 1;
  }
}

std::vector<ResolvedKey> ResolvedState::conflicted() const {
  std::vector<ResolvedKey> resolved;
  resolved.reserve(conflicted_.size());
  for (const uint32_t position : conflicted_) {
    const Entry& entry = entries_[position];
    resolved.push_back({StateKey::of(entry.key), std::nullopt});
    if (entry.set) resolved.back().event = cache_.number_of(*entry.set);
  }
  const auto by_key = [](const ResolvedKey& a, const ResolvedKey& b) { return a.key < b.key; };
  if (!std::is_sorted(resolved.begin(), resolved.end(), by_key))
    std::sort(resolved.begin(), resolved.end(), by_key);
  return resolved;
}

Status ResolvedState::set(Slot slot) {
  POLDER_TRY(const events::Event* event, cache_.event(slot));
  if (!event->is_state()) return fail(ErrorCode::kCorrupt, "a state has an event without key");
  Entry& entry = this->entry({event->type(), *event->state_key()});
  if (!entry.set) ++size_;
  entry.set = slot;
  entry.accepted = nullptr;
  return {};
}

Result<std::optional<Slot>> ResolvedState::find(events::StateKeyView key) {
  return find_at(place_of(key), key);
}

Result<const events::Event*> ResolvedState::find_accepted(events::StateKeyView key) {
  const Place place = place_of(key);
  const Entry* entry = place.entry ? &entries_[*place.entry] : nullptr;
  if (entry && entry->accepted) return entry->accepted;
  const bool may_have_base = base_ && (!entry || !entry->has_base || entry->base);
  if (!may_have_base && (!entry || !entry->set)) return static_cast<const events::Event*>(nullptr);
  POLDER_TRY(const auto slot, find_at(place, key));
  if (!slot) return static_cast<const events::Event*>(nullptr);
  POLDER_TRY(const events::Event* accepted, cache_.accepted_event(*slot));
  if (place.entry) entries_[*place.entry].accepted = accepted;
  return accepted;
}

Result<std::optional<Slot>> ResolvedState::find_at(const Place& place, events::StateKeyView key) {
  if (place.entry) {
    const Entry& entry = entries_[*place.entry];
    if (entry.set) return entry.set;
    if (entry.has_base) return entry.base;
  }
  if (!base_) return std::optional<Slot>();
  POLDER_TRY(const auto number, base_->find(key));
  std::optional<Slot> found;
  if (number) found = cache_.slot_of(*number);
  if (place.entry) {
    entries_[*place.entry].base = found;
    entries_[*place.entry].has_base = true;
  } else if (found) {
    // Under the event's own words, because the cache keeps these.
    POLDER_TRY(const events::Event* event, cache_.event(*found));
    if (!event->is_state()) return fail(ErrorCode::kCorrupt, "a state has an event without key");
    Entry& entry = this->entry({event->type(), *event->state_key()});
    entry.base = found;
    entry.has_base = true;
  }
  return found;
}

}  // namespace polder::dag
