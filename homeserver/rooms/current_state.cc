#include "homeserver/rooms/current_state.h"

namespace polder::rooms {
namespace {

stores::MembershipRow membership_row(stores::Membership membership, EventNumber event) {
  stores::MembershipRow row;
  row.membership = membership;
  row.event = event;
  return row;
}

stores::Membership membership_of(const events::EventPtr& event) {
  return event ? stores::membership_from(event->membership()) : stores::Membership::kNone;
}

}  // namespace

Status CurrentState::change(stores::StateRoot before) {
  POLDER_TRY(const auto differences, stores::state_diff(view_.nodes(), before, record_.state));
  for (const stores::StateDifference& difference : differences) {
    StateChange change;
    POLDER_TRY(change.type, context_.names.name(stores::NameKind::kType, difference.key.type));
    POLDER_TRY(change.key, context_.names.name(stores::NameKind::kStateKey, difference.key.key));
    if (difference.before) {
      POLDER_TRY(auto held, view_.load(*difference.before));
      change.before = std::move(held.event);
    }
    if (difference.after) {
      POLDER_TRY(auto held, view_.load(*difference.after));
      change.after = std::move(held.event);
    }
    change.after_number = difference.after.value_or(0);
    staged_.changes.push_back(std::move(change));
  }
  return {};
}

Status CurrentState::write(kv::PositionSlot slot) {
  for (const StateChange& change : staged_.changes) {
    if (change.type != "m.room.member") continue;
    const auto user = UserId::parse(change.key);
    if (!user.ok()) continue;
    const stores::Membership after = membership_of(change.after);
    POLDER_TRY(const uint64_t number, context_.names.intern(stores::NameKind::kUser, user->view(),
                                                            staged_.batch, staged_.names));
    stores::put_membership(staged_.batch, number, room_.number,
                           membership_row(after, change.after_number), slot);
    POLDER_CHECK(count(*user, membership_of(change.before), -1));
    POLDER_CHECK(count(*user, after, 1));
    written_.insert(number);
  }
  return {};
}

Status CurrentState::end_outside(kv::PositionSlot slot) {
  POLDER_TRY(const auto outsiders, stores::read_outsiders(view_.snapshot(), room_.number));
  for (const stores::UserNumber user : outsiders) {
    stores::erase_outsider(staged_.batch, room_.number, user);
    if (written_.contains(user)) continue;
    stores::put_membership(staged_.batch, user, room_.number,
                           membership_row(stores::Membership::kLeave, 0), slot);
  }
  return {};
}

Status CurrentState::count(const UserId& user, stores::Membership membership, int step) {
  const auto add = [&](uint64_t& total) { total += static_cast<uint64_t>(step); };
  if (membership == stores::Membership::kInvite) add(record_.invited);
  if (membership != stores::Membership::kJoin) return {};
  add(record_.joined);
  POLDER_TRY(const uint64_t server, context_.names.intern(stores::NameKind::kServer, user.server(),
                                                          staged_.batch, staged_.names));
  const auto known = room_.servers.find(server);
  uint64_t total = servers_.contains(server) ? servers_[server]
                                             : (known == room_.servers.end() ? 0 : known->second);
  add(total);
  servers_[server] = total;
  stores::put_server_count(staged_.batch, room_.number, server, total);
  if (user.server() == context_.own_name.view()) record_.local_joined = total > 0;
  return {};
}

void CurrentState::apply(Room& room) const {
  for (const auto& [server, total] : servers_) {
    if (total == 0) {
      room.servers.erase(server);
    } else {
      room.servers[server] = total;
    }
    room.servers_changed = true;
  }
}

}  // namespace polder::rooms
