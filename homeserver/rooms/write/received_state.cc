#include "homeserver/rooms/write/received_state.h"

#include <algorithm>
#include <set>

namespace polder::rooms {
namespace {

constexpr size_t kServersMax = 5000;

}  // namespace

ToldState::ToldState(const events::RoomVersionRules& rules, RoomId room, RemoteState told)
    : rules_(rules), room_(std::move(room)), counted_(std::move(told.counted)) {
  told_.reserve(told.state.size() + told.auth_chain.size());
  for (std::string& pdu : told.state) {
    told_.emplace_back().pdu = std::move(pdu);
    told_.back().in_state = true;
  }
  for (std::string& pdu : told.auth_chain)
    told_.emplace_back().pdu = std::move(pdu);
}

void ToldState::read_one(size_t index) {
  Told& told = told_[index];
  const auto event = events::Event::parse(told.pdu, rules_);
  if (!event.ok() || (*event)->room_id() != room_) {
    told.pdu = {};
    return;
  }
  told.is_event = true;
  told.id = (*event)->id();
  told.auth_events = (*event)->auth_events();
  told.is_create = (*event)->is_state("m.room.create", "");
  told.is_member = (*event)->is("m.room.member");
  if (!told.is_member) return;
  const auto user = UserId::parse((*event)->state_key().value_or(""));
  if (user.ok()) told.server = user->server();
}

void ToldState::link() {
  std::optional<uint32_t> create;
  for (uint32_t i = 0; i < told_.size(); ++i) {
    Told& told = told_[i];
    if (!told.is_event) continue;
    const auto [known, added] = index_.emplace(told.id, i);
    if (added && told.is_create) create = i;
    if (added) continue;
    told_[known->second].in_state |= told.in_state;
    told.is_event = false;
    told.pdu = {};
  }
  auth_events_.resize(told_.size());
  for (uint32_t i = 0; i < told_.size(); ++i) {
    for (const EventId& id : std::exchange(told_[i].auth_events, {})) {
      if (const auto found = index_.find(id); found != index_.end())
        auth_events_[i].push_back(found->second);
    }
  }
  order_ = auth_order(auth_events_, create);
  std::erase_if(order_, [&](uint32_t place) { return !told_[place].is_event; });
}

std::vector<EventId> ToldState::state_ids() const {
  std::vector<EventId> ids;
  for (const Told& told : told_) {
    if (told.is_event && told.in_state) ids.push_back(told.id);
  }
  return ids;
}

std::vector<ServerName> ToldState::servers() const {
  std::set<std::string_view> names;
  for (const Told& told : told_) {
    if (told.is_event && told.in_state && told.is_member && names.size() < kServersMax)
      names.insert(told.server);
  }
  std::vector<ServerName> servers;
  for (const std::string_view name : names) {
    if (auto server = ServerName::parse(name); server.ok()) servers.push_back(*std::move(server));
  }
  return servers;
}

RemoteState ToldState::take_first(const events::Event& event, size_t large) {
  std::vector<uint32_t> wanted;
  if (order_.size() <= large) {
    wanted = order_;
  } else {
    for (const uint32_t place : order_) {
      const Told& told = told_[place];
      if (told.in_state && (!told.is_member || told.server == event.sender().server()))
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
void ToldState::take(std::vector<uint32_t> wanted, RemoteState& out) {
  while (!wanted.empty()) {
    const uint32_t place = wanted.back();
    Told& told = told_[place];
    wanted.pop_back();
    if (std::exchange(told.taken, true)) continue;
    (told.in_state ? out.state : out.auth_chain).push_back(std::exchange(told.pdu, {}));
    wanted.insert(wanted.end(), auth_events_[place].begin(), auth_events_[place].end());
  }
  while (next_ < order_.size() && told_[order_[next_]].taken)
    ++next_;
}

std::vector<std::string> ToldState::take_next(size_t max) {
  std::vector<std::string> pdus;
  for (; next_ < order_.size() && pdus.size() < max; ++next_) {
    Told& told = told_[order_[next_]];
    if (!std::exchange(told.taken, true)) pdus.push_back(std::exchange(told.pdu, {}));
  }
  return pdus;
}

}  // namespace polder::rooms
