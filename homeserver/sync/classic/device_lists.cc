#include "homeserver/sync/classic/device_lists.h"

#include <set>

#include "homeserver/rooms/read/reader.h"
#include "homeserver/sync/classic/tokens.h"
#include "storage/stores/users/key_rows.h"

namespace polder::sync {
namespace {

using rooms::RoomReader;
using stores::Membership;
using stores::UserNumber;

constexpr size_t kProfileChangesMax = 100;  // of a member between two syncs; beyond, it is changed

class Changes {
 public:
  Changes(const rooms::RoomSource& rooms, const std::shared_ptr<const kv::Snapshot>& snapshot,
          DeviceListReader reader, kv::Position from, kv::Position to)
      : rooms_(rooms),
        snapshot_(snapshot),
        user_(reader.user),
        rows_(reader.rooms),
        from_(from),
        to_(to) {}

  Result<DeviceLists> run() {
    for (const auto& [room, row] : rows_) {
      if (row.membership == Membership::kJoin) joined_.insert(room);
    }
    POLDER_TRY(const auto logged, stores::read_device_list_changes(*snapshot_, from_, to_));
    for (const UserNumber other : logged) {
      POLDER_TRY(const bool shared, shares_room(other));
      if (shared) changed_.insert(other);
    }
    // Whom the user verified, wherever they are.
    POLDER_TRY(const auto signed_others, stores::read_signed_others(*snapshot_, user_, from_, to_));
    changed_.insert(signed_others.begin(), signed_others.end());
    for (const auto& [room, row] : rows_)
      POLDER_CHECK(compare_members(room, row));
    return names();
  }

 private:
  Result<bool> shares_room(UserNumber other) const {
    if (other == user_) return true;
    POLDER_TRY(const auto rows, stores::read_rooms_of(*snapshot_, other));
    return std::ranges::any_of(rows, [&](const auto& row) {
      return row.second.membership == Membership::kJoin && joined_.contains(row.first);
    });
  }

  // Who came into the user's rooms, or went; of a room that the user entered or left, everybody.
  Status compare_members(stores::RoomNumber room, const stores::MembershipRow& row) {
    const auto head = rooms_.head(room);
    const bool now = row.membership == Membership::kJoin;
    if (!head || (head->last_change <= from_ && row.position <= from_)) return {};
    if (!now && row.position <= from_) return {};
    const RoomReader reader(rooms_, head);
    POLDER_TRY(const auto name, reader.view().names().name(stores::NameKind::kUser, user_));
    POLDER_TRY(stores::StateRoot before, state_at(reader, from_));
    POLDER_TRY(stores::StateRoot after, state_at(reader, to_));
    const stores::Names& all_names = reader.view().names();
    POLDER_TRY(const auto type, all_names.find(stores::NameKind::kType, "m.room.member"));
    POLDER_TRY(const auto own, all_names.find(stores::NameKind::kStateKey, name));
    if (!type || !own) return {};
    POLDER_TRY(const bool came,
               came_after(reader, {static_cast<uint32_t>(*type), *own}, before, after));
    if (came) before = {};
    if (!now) after = {};
    POLDER_TRY(const auto differences, stores::state_diff(reader.view().nodes(), before, after));
    for (const stores::StateDifference& difference : differences) {
      if (difference.key.type == *type) POLDER_CHECK(compare_member(reader, difference));
    }
    return {};
  }

  // Whether the user was not in the room at the first state, or not all the time since.
  static Result<bool> came_after(const RoomReader& reader, stores::StateKey own,
                                 stores::StateRoot before, stores::StateRoot after) {
    POLDER_TRY(const auto first, stores::state_get(reader.view().nodes(), before, own));
    POLDER_TRY(const bool was, is_join(reader, first));
    if (!was) return true;
    POLDER_TRY(const auto last, stores::state_get(reader.view().nodes(), after, own));
    POLDER_TRY(const bool is, is_join(reader, last));
    if (!is) return false;
    return was_away(reader, own, *first, *last);
  }

  Status compare_member(const RoomReader& reader, const stores::StateDifference& difference) {
    POLDER_TRY(bool before, is_join(reader, difference.before));
    POLDER_TRY(const bool after, is_join(reader, difference.after));
    if (before && after) {
      POLDER_TRY(const bool away,
                 was_away(reader, difference.key, *difference.before, *difference.after));
      before = !away;
    }
    if (before == after) return {};
    POLDER_TRY(const auto member,
               reader.view().load(after ? *difference.after : *difference.before));
    POLDER_TRY(const auto number,
               reader.view().names().find(stores::NameKind::kUser, *member.event->state_key()));
    if (!number) return {};
    // Entering a room concerns the user's own other devices, too.
    if (*number == user_) {
      if (after) changed_.insert(user_);
      return {};
    }
    POLDER_TRY(const bool shared, shares_room(*number));
    if (!shared) left_.insert(*number);
    if (shared && after) changed_.insert(*number);
    return {};
  }

  // Whether a member of two states, by these events, was none in between: then changes of their
  // devices may have been told to nobody here. Else all between are changes of their profile.
  static Result<bool> was_away(const RoomReader& reader, stores::StateKey key,
                               stores::EventNumber first, stores::EventNumber last) {
    for (size_t i = 0; i < kProfileChangesMax && last != first; ++i) {
      POLDER_TRY(const auto held, reader.view().load(last));
      POLDER_TRY(const auto earlier,
                 stores::state_get(reader.view().nodes(), held.record.state_before, key));
      POLDER_TRY(const bool joined, is_join(reader, earlier));
      if (!joined) return true;
      last = *earlier;
    }
    return last != first;
  }

  static Result<bool> is_join(const RoomReader& reader,
                              const std::optional<stores::EventNumber>& event) {
    if (!event) return false;
    POLDER_TRY(const auto held, reader.view().load(*event));
    return held.event->membership() == "join";
  }

  Result<DeviceLists> names() const {
    DeviceLists lists;
    for (const auto& [numbers, list] :
         {std::pair(&changed_, &lists.changed), std::pair(&left_, &lists.left)}) {
      for (const UserNumber number : *numbers) {
        POLDER_TRY(std::string name, rooms_.names.name(stores::NameKind::kUser, number));
        list->emplace_back(std::move(name));
      }
    }
    return lists;
  }

  const rooms::RoomSource& rooms_;
  const std::shared_ptr<const kv::Snapshot>& snapshot_;
  const UserNumber user_;
  const std::span<const std::pair<stores::RoomNumber, stores::MembershipRow>> rows_;
  const kv::Position from_, to_;
  std::set<stores::RoomNumber> joined_;
  std::set<UserNumber> changed_, left_;
};

}  // namespace

Result<DeviceLists> device_list_changes(const rooms::RoomSource& rooms,
                                        const std::shared_ptr<const kv::Snapshot>& snapshot,
                                        DeviceListReader reader, kv::Position from,
                                        kv::Position to) {
  return Changes(rooms, snapshot, reader, from, to).run();
}

Result<DeviceLists> device_list_changes(const rooms::RoomSource& rooms,
                                        const std::shared_ptr<const kv::Snapshot>& snapshot,
                                        stores::UserNumber user, kv::Position from,
                                        kv::Position to) {
  POLDER_TRY(const auto rows, stores::read_rooms_of(*snapshot, user));
  return device_list_changes(rooms, snapshot, {user, rows}, from, to);
}

}  // namespace polder::sync
