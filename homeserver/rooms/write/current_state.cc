#include "homeserver/rooms/write/current_state.h"

#include <algorithm>

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

Status CurrentState::follow_event(stores::StateRoot edge, std::optional<stores::StateKey> own_key) {
  if (!record_.edge_state) return follow(edge, own_key);
  POLDER_TRY(auto done,
             stores::state_diff(view_.nodes(), *record_.edge_state, edge, context_.changes_max));
  POLDER_CHECK(put_first(edge, own_key, done));
  const stores::StateRoot before = record_.state;
  POLDER_CHECK(take(done));
  POLDER_TRY(const auto differences, stores::state_diff(view_.nodes(), before, record_.state));
  POLDER_CHECK(note(differences));
  set_edge(edge);
  return {};
}

Status CurrentState::follow(stores::StateRoot edge, std::optional<stores::StateKey> first) {
  if (record_.state.hash != edge.hash) {
    POLDER_TRY(auto differences,
               stores::state_diff(view_.nodes(), record_.state, edge, context_.changes_max));
    if (differences.size() < context_.changes_max) {
      record_.state = edge;
    } else {
      POLDER_CHECK(put_first(edge, first, differences));
      POLDER_CHECK(take(differences));
    }
    POLDER_CHECK(note(differences));
  }
  set_edge(edge);
  return {};
}

Status CurrentState::put_first(stores::StateRoot edge, std::optional<stores::StateKey> key,
                               std::vector<stores::StateDifference>& differences) const {
  if (!key ||
      std::ranges::find(differences, *key, &stores::StateDifference::key) != differences.end())
    return {};
  stores::StateDifference difference{*key, {}, {}};
  POLDER_TRY(difference.before, stores::state_get(view_.nodes(), record_.state, *key));
  POLDER_TRY(difference.after, stores::state_get(view_.nodes(), edge, *key));
  if (difference.before != difference.after) differences.push_back(difference);
  return {};
}

void CurrentState::set_edge(stores::StateRoot edge) {
  if (record_.state.hash == edge.hash) {
    record_.state = edge;
    record_.edge_state.reset();
  } else {
    record_.edge_state = edge;
    record_.partial = true;
  }
}

// Of some keys what another state has.
Status CurrentState::take(const std::vector<stores::StateDifference>& differences) {
  std::vector<stores::StateEdit> edits;
  edits.reserve(differences.size());
  for (const stores::StateDifference& difference : differences)
    edits.push_back({difference.key, difference.after});
  POLDER_TRY(const auto update, stores::state_apply(view_.nodes(), record_.state, std::move(edits),
                                                    record_.last_node));
  record_.last_node = update.last_node;
  record_.state = update.root;
  stage_nodes(room_, update, staged_);
  return {};
}

Status CurrentState::note(const std::vector<stores::StateDifference>& differences) {
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
    // Another server may tell a state without somebody who was in it: they are out as if they had
    // left, and /sync tells them.
    const auto row = change.after ? membership_row(after, change.after_number)
                                  : membership_row(stores::Membership::kLeave, 0);
    stores::put_membership(staged_.batch, number, room_.number, row, slot);
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
