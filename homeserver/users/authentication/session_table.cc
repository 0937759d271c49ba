#include "homeserver/users/authentication/session_table.h"

#include <limits>

namespace polder::users {
namespace {

constexpr size_t kIdLetters = 24;  // 136 bits

}  // namespace

std::string SessionTable::add(std::string owner, AuthenticationSession session) {
  std::string id = random_.letters(kIdLetters);
  const base::Lock lock(mutex_);
  forget_old();
  const Number number = next_++;
  Entry entry{id, std::move(owner), clock_.steady() + bounds_.age, std::move(session)};
  count(entry, number, true);
  numbers_.emplace(id, number);
  const std::string& name = entries_.emplace(number, std::move(entry)).first->second.owner;
  const Owner& counted = owners_.at(name);
  if (counted.sessions.size() > bounds_.of_owner) forget(*counted.sessions.begin());
  make_room();
  return id;
}

std::optional<AuthenticationSession> SessionTable::find(std::string_view id) {
  const base::Lock lock(mutex_);
  forget_old();
  const auto number = numbers_.find(id);
  if (number == numbers_.end()) return std::nullopt;
  return entries_.at(number->second).session;
}

void SessionTable::update(std::string_view id, AuthenticationSession session) {
  const base::Lock lock(mutex_);
  forget_old();
  const auto number = numbers_.find(id);
  if (number == numbers_.end()) return;
  Entry& entry = entries_.at(number->second);
  count(entry, number->second, false);
  entry.session = std::move(session);
  count(entry, number->second, true);
  make_room();
}

size_t SessionTable::size() {
  const base::Lock lock(mutex_);
  forget_old();
  return entries_.size();
}

size_t SessionTable::bytes() {
  const base::Lock lock(mutex_);
  return bytes_;
}

SessionTable::Rank SessionTable::rank_of(const std::string& name, const Owner& owner) {
  return {owner.bytes, std::numeric_limits<Number>::max() - *owner.sessions.begin(), name};
}

// Takes a session into the counts, or out of them.
void SessionTable::count(const Entry& entry, Number number, bool comes) {
  const size_t bytes = entry.session.bytes() + entry.owner.size();
  Owner& owner = owners_[entry.owner];
  if (!owner.sessions.empty()) ranks_.erase(rank_of(entry.owner, owner));
  if (comes) {
    owner.sessions.insert(number);
    owner.bytes += bytes;
    bytes_ += bytes;
  } else {
    owner.sessions.erase(number);
    owner.bytes -= bytes;
    bytes_ -= bytes;
  }
  if (owner.sessions.empty()) {
    owners_.erase(entry.owner);
  } else {
    ranks_.insert(rank_of(entry.owner, owner));
  }
}

void SessionTable::forget(Number number) {
  const auto entry = entries_.find(number);
  count(entry->second, number, false);
  numbers_.erase(entry->second.id);
  entries_.erase(entry);
}

void SessionTable::forget_old() {
  const auto now = clock_.steady();
  while (!entries_.empty() && entries_.begin()->second.until <= now)
    forget(entries_.begin()->first);
}

void SessionTable::make_room() {
  while (bytes_ > bounds_.bytes) {
    const std::string& most = std::get<std::string>(*ranks_.rbegin());
    forget(*owners_.at(most).sessions.begin());
  }
}

}  // namespace polder::users
