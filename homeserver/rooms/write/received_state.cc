#include "homeserver/rooms/write/received_state.h"

#include <set>

namespace polder::rooms {
namespace {

constexpr size_t kServersMax = 5000;

}  // namespace

ReceivedState::ReceivedState(const events::RoomVersionRules& rules, RoomId room, RemoteState state)
    : rules_(rules), room_(std::move(room)), counted_(std::move(state.counted)) {
  entries_.reserve(state.state.size() + state.auth_chain.size());
  for (std::string& pdu : state.state) {
    entries_.emplace_back().pdu = std::move(pdu);
    entries_.back().in_state = true;
  }
  for (std::string& pdu : state.auth_chain)
    entries_.emplace_back().pdu = std::move(pdu);
}

void ReceivedState::read_one(size_t index) {
  Entry& entry = entries_[index];
  const auto event = events::Event::parse(entry.pdu, rules_);
  if (!event.ok() || (*event)->room_id() != room_) {
    entry.pdu = {};
    return;
  }
  entry.is_event = true;
  entry.id = (*event)->id();
  entry.auth_events = (*event)->auth_events();
  entry.is_create = (*event)->is_state("m.room.create", "");
  entry.is_member = (*event)->is("m.room.member");
  if (!entry.is_member) return;
  const auto user = UserId::parse((*event)->state_key().value_or(""));
  if (user.ok()) entry.server = user->server();
}

void ReceivedState::link() {
  std::optional<uint32_t> create;
  for (uint32_t i = 0; i < entries_.size(); ++i) {
    Entry& entry = entries_[i];
    if (!entry.is_event) continue;
    const auto [known, added] = index_.emplace(entry.id, i);
    if (added && entry.is_create) create = i;
    if (added) continue;
    entries_[known->second].in_state |= entry.in_state;
    entry.is_event = false;
    entry.pdu = {};
  }
  auth_events_.resize(entries_.size());
  for (uint32_t i = 0; i < entries_.size(); ++i) {
    for (const EventId& id : std::exchange(entries_[i].auth_events, {})) {
      if (const auto found = index_.find(id); found != index_.end())
        auth_events_[i].push_back(found->second);
    }
  }
  order_ = auth_order(auth_events_, create);
  std::erase_if(order_, [&](uint32_t place) { return !entries_[place].is_event; });
}

std::vector<EventId> ReceivedState::state_ids() const {
  std::vector<EventId> ids;
  for (const Entry& entry : entries_) {
    if (entry.is_event && entry.in_state) ids.push_back(entry.id);
  }
  return ids;
}

std::vector<ServerName> ReceivedState::servers() const {
  std::set<std::string_view> names;
  for (const Entry& entry : entries_) {
    if (entry.is_event && entry.in_state && entry.is_member && names.size() < kServersMax)
      names.insert(entry.server);
  }
  std::vector<ServerName> servers;
  for (const std::string_view name : names) {
    if (auto server = ServerName::parse(name); server.ok()) servers.push_back(*std::move(server));
  }
  return servers;
}

RemoteState ReceivedState::take_first(const events::Event& event, size_t large) {
  std::vector<uint32_t> wanted;
  if (order_.size() <= large) {
    wanted = order_;
  } else {
    for (const uint32_t place : order_) {
      const Entry& entry = entries_[place];
      if (entry.in_state && (!entry.is_member || entry.server == event.sender().server()))
        wanted.push_back(place);
    }
  }
  for (const EventId& id : event.auth_events()) {
    if (const auto found = index_.find(id); found != index_.end()) wanted.push_back(found->second);
  }
  RemoteState out;
  out.counted = counted_;
  take(std::move(wanted), out);
  return out;
}

// With all that these need.
void ReceivedState::take(std::vector<uint32_t> wanted, RemoteState& out) {
  while (!wanted.empty()) {
    const uint32_t place = wanted.back();
    Entry& entry = entries_[place];
    wanted.pop_back();
    if (std::exchange(entry.taken, true)) continue;
    (entry.in_state ? out.state : out.auth_chain).push_back(std::exchange(entry.pdu, {}));
    wanted.insert(wanted.end(), auth_events_[place].begin(), auth_events_[place].end());
  }
  while (next_ < order_.size() && entries_[order_[next_]].taken)
    ++next_;
}

std::vector<std::string> ReceivedState::take_next(size_t max) {
  std::vector<std::string> pdus;
  for (; next_ < order_.size() && pdus.size() < max; ++next_) {
    Entry& entry = entries_[order_[next_]];
    if (!std::exchange(entry.taken, true)) pdus.push_back(std::exchange(entry.pdu, {}));
  }
  return pdus;
}

}  // namespace polder::rooms
