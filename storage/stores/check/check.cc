#include "storage/stores/check/check.h"

#include "storage/keys/value.h"
#include "storage/stores/base/cursor_rows.h"
#include "storage/stores/base/names.h"
#include "storage/stores/base/row_forms.h"
#include "storage/stores/check/check_room.h"
#include "storage/stores/federation/federation_rows.h"
#include "storage/stores/rooms/directory_rows.h"
#include "storage/stores/rooms/purge_rows.h"
#include "storage/stores/users/user_rows.h"

namespace polder::stores {
namespace {

class Checker {
 public:
  explicit Checker(const CheckContext& context) : context_(context) {}

  Status run() {
    POLDER_CHECK(check_forms());
    if (const Status names = Names::check(snapshot()); !names.ok())
      context_.fault(names.error().message);
    POLDER_CHECK(read_event_ids());
    POLDER_CHECK(read_stream());
    POLDER_CHECK(read_memberships());
    POLDER_CHECK(for_each_room(snapshot(), [this](RoomNumber room, const RoomRecord& record) {
      ++context_.report.rooms;
      const auto mentions = mentions_.extract(room);
      return check_room(context_, room, record, mentions ? mentions.mapped() : RoomMentions());
    }));
    // What a purge has not got to yet.
    POLDER_CHECK(for_each_purge(snapshot(), [this](RoomNumber room, const PurgeRow& row) -> Status {
      if (!row.done) mentions_.erase(room);
      return {};
    }));
    for (const auto& [room, mentions] : mentions_)
      context_.fault("rows name room " + std::to_string(room) + ", which is not there");
    POLDER_CHECK(check_outsiders());
    POLDER_CHECK(check_sessions());
    POLDER_CHECK(check_account_data());
    POLDER_CHECK(check_aliases());
    return check_cursors();
  }

 private:
  const kv::Snapshot& snapshot() const { return context_.snapshot; }

  Status check_forms() {
    for (kv::ColumnId column = 0; column < kColumnCount; ++column) {
      const auto rows = snapshot().iterate(column, {});
      for (rows->seek_to_first(); rows->valid(); rows->next()) {
        if (auto fault = row_fault(column, rows->key(), rows->value()))
          context_.fault(*std::move(fault));
      }
      POLDER_CHECK(rows->status());
    }
    return {};
  }

  Status read_event_ids() {
    const auto rows = snapshot().iterate(kEventIds, {});
    for (rows->seek_to_first(); rows->valid(); rows->next()) {
      ++context_.report.events;
      keys::ValueReader value(rows->value(), 1);
      const EventPlace place{value.varint(), value.varint()};
      if (!value.at_end()) {
        context_.fault("damaged record: event id");
      } else if (!mentions_[place.room].ids.insert(place.number).second) {
        context_.fault("two event ids lead to one event in room " + std::to_string(place.room));
      }
    }
    return rows->status();
  }

  Status read_stream() {
    POLDER_TRY(const auto events,
               read_stream_events(snapshot(), 0, kv::kLastPosition - 1, ~size_t{0}));
    for (const StreamEvent& event : events)
      mentions_[event.place.room].stream.emplace(event.position, event.place.number);
    if (!events.empty() && events.back().position > context_.last_position)
      context_.fault("an event has a position beyond the last one");
    return {};
  }

  Status read_memberships() {
    return for_each_membership(
        snapshot(), [this](UserNumber user, RoomNumber room, const MembershipRow& row) -> Status {
          if (row.position > context_.last_position)
            context_.fault("a membership has a position beyond the last one");
          if (row.event == 0) {
            if (row.membership == Membership::kInvite || row.membership == Membership::kKnock)
              outsiders_[room].insert(user);
            return {};
          }
          RoomMentions& mentions = mentions_[room];
          mentions.memberships.insert(row.event);
          if (row.membership == Membership::kJoin) mentions.joined.emplace(user, row.event);
          if (row.membership == Membership::kInvite) mentions.invited.emplace(user, row.event);
          return {};
        });
  }

  // An invite or knock outside has its entry in the room's list of outsiders, and each entry one.
  Status check_outsiders() {
    for (const auto& [room, users] : outsiders_) {
      const std::string where = " in room " + std::to_string(room);
      POLDER_TRY(const auto listed, read_outsiders(snapshot(), room));
      if (std::set(listed.begin(), listed.end()) != users)
        context_.fault("the list of outsiders is not that of their memberships" + where);
      POLDER_TRY(const auto record, read_room(snapshot(), room));
      if (record && record->local_joined)
        context_.fault("a room that is followed has outsiders" + where);
    }
    return {};
  }

  Status check_sessions() {
    return for_each_session(
        snapshot(),
        [this](const Digest& token, const SessionRow& row) -> Status {
          POLDER_TRY(const auto account, read_account(snapshot(), row.user));
          POLDER_TRY(const auto device, read_device(snapshot(), row.user, row.device));
          if (!account) context_.fault("a session has no account");
          if (account && !device) context_.fault("a session has no device");
          sessions_.emplace(row.user, token);
          return {};
        },
        [this](UserNumber user, const Digest& token) -> Status {
          if (sessions_.erase({user, token}) == 0) context_.fault("a user's session is not there");
          return {};
        });
  }

  Status check_account_data() {
    return for_each_account_data_size(
        snapshot(),
        [this](UserNumber user, std::optional<RoomNumber> room, AccountDataSize size) -> Status {
          POLDER_TRY(const auto measured, measure_account_data(snapshot(), user, room));
          if (measured != size) context_.fault("the size of account data is another one");
          return {};
        });
  }

  Status check_aliases() {
    std::set<std::pair<std::string, std::string>> aliases;
    POLDER_CHECK(for_each_alias(
        snapshot(),
        [&](const RoomAlias& alias, const RoomId& room) -> Status {
          aliases.emplace(alias.str(), room.str());
          return {};
        },
        [&](const RoomAlias& alias, const RoomId& room) -> Status {
          if (aliases.erase({alias.str(), room.str()}) == 0)
            context_.fault("a room's alias is not there");
          return {};
        }));
    if (!aliases.empty()) context_.fault("an alias is missing among its room's");
    if (!sessions_.empty()) context_.fault("a session is missing among its user's");
    return {};
  }

  Status check_cursors() {
    POLDER_TRY(const auto cursors, read_cursors(snapshot()));
    for (const auto& [follower, position] : cursors) {
      if (position > context_.last_position)
        context_.fault("a follower's place in the log is beyond the last position");
    }
    const auto federation = cursors.find(std::string(kFederationFollower));
    const kv::Position dispatched = federation == cursors.end() ? 0 : federation->second;
    POLDER_TRY(const auto backlogs, read_backlogs(snapshot()));
    for (const auto& [server, backlog] : backlogs) {
      if (backlog.delivered > dispatched)
        context_.fault("a destination has got more than was dispatched");
      if (!ServerName::parse(server.view()).ok()) context_.fault("a destination is no server name");
    }
    return {};
  }

  const CheckContext& context_;
  std::map<RoomNumber, RoomMentions> mentions_;
  std::map<RoomNumber, std::set<UserNumber>> outsiders_;
  std::set<std::pair<UserNumber, Digest>> sessions_;  // seen by token, not yet by user
};

}  // namespace

Result<CheckReport> check_database(const kv::Snapshot& snapshot, kv::Position last_position,
                                   const EventReader& reader) {
  CheckReport report;
  POLDER_CHECK(Checker({snapshot, last_position, reader, report}).run());
  return report;
}

}  // namespace polder::stores
