#include "homeserver/sync/classic/response.h"

#include "homeserver/base/json/write.h"
#include "homeserver/rooms/reach.h"
#include "homeserver/rooms/reader.h"
#include "homeserver/sync/classic/encryption.h"
#include "homeserver/sync/classic/ephemeral.h"
#include "homeserver/sync/classic/room_events.h"
#include "homeserver/sync/classic/stripped.h"
#include "homeserver/users/ignored.h"
#include "storage/stores/user_rows.h"

namespace polder::sync {
namespace {

using rooms::ReaderOf;
using rooms::RoomReader;
using stores::Membership;

// A piece ends with the room that makes it as large: what of a response is in memory at once.
constexpr size_t kPieceBytes = 256 * 1024;

// Rooms that the user is in come last, and one at a time.
class Builder {
 public:
  Builder(const Services& services, std::shared_ptr<const SyncRequest> request,
          const std::optional<StreamToken>& since)
      : services_(services),
        engine_(services.rooms),
        shared_request_(std::move(request)),
        request_(*shared_request_),
        token_(since),
        since_(since ? std::optional(since->position) : std::nullopt),
        writer_(text_) {}

  Result<Answer> begin() {
    // The position first: what the snapshot has beyond it comes with the next request.
    answer_.next.position = engine_.parts().committer.visible();
    answer_.next.typing_changes = services_.typing.changes();
    // A token of an earlier run of the program counts from another zero.
    if (token_ && token_->typing_changes > answer_.next.typing_changes) token_->typing_changes = 0;
    POLDER_CHECK(find_rooms());
    // After the heads, so that it has what they name.
    snapshot_ = engine_.parts().database.snapshot();
    POLDER_TRY(ignored_, users::IgnoredUsers::read(*snapshot_, request_.number, request_.user));
    POLDER_CHECK(find_data_changes());
    for (const Room& room : others_)
      POLDER_CHECK(add_other(room));
    text_.reserve(since_ ? 0 : kPieceBytes);
    writer_.begin_object();
    POLDER_TRY(const bool news,
               write_encryption(writer_, engine_, snapshot_, request_, token_, answer_.next));
    if (news) answer_.empty = false;
    writer_.member("next_batch", std::string_view(stream_token(answer_.next)));
    POLDER_CHECK(write_global_data(writer_));
    writer_.key("rooms").begin_object();
    write_section("invite", invite_);
    write_section("knock", knock_);
    write_section("leave", leave_);
    writer_.key("join").begin_object();
    POLDER_TRY(std::string text, joined_rooms());
    Answer answer = answer_;
    answer.text = std::move(text);
    return answer;
  }

  bool done() const { return done_; }

  // The next piece.
  Result<std::string> more() {
    snapshot_ = engine_.parts().database.snapshot();
    return joined_rooms();
  }

 private:
  struct Room {
    stores::RoomNumber number = 0;
    stores::MembershipRow row;
    rooms::RoomHeadPtr head;
  };
  using Section = std::vector<std::pair<RoomId, std::string>>;

  Status find_rooms() {
    POLDER_TRY(auto rooms,
               stores::read_rooms_of(*engine_.parts().database.snapshot(), request_.number));
    for (auto& [number, row] : rooms) {
      const bool joined = row.membership == Membership::kJoin && row.event != 0;
      Room room{number, std::move(row), engine_.head(number)};
      if (room.row.event != 0 &&
          (!room.head || !request_.filter.allows_room(room.head->record.id.view())))
        continue;
      if (joined) answer_.joined.push_back(number);
      (joined ? joined_ : others_).push_back(std::move(room));
    }
    return {};
  }

  // Up to a piece of what has been written since the last one, to the end of the response.
  Result<std::string> joined_rooms() {
    for (; next_ < joined_.size() && text_.size() < kPieceBytes; ++next_)
      POLDER_CHECK(add_joined(joined_[next_].head, joined_[next_].row));
    snapshot_ = nullptr;  // not kept while the piece is sent
    done_ = next_ == joined_.size();
    if (done_) writer_.end_object().end_object().end_object();
    return std::exchange(text_, {});
  }

  void write_section(std::string_view name, const Section& section) {
    writer_.key(name).begin_object();
    for (const auto& [room, text] : section)
      writer_.key(room.view()).raw(text);
    writer_.end_object();
    if (!section.empty()) answer_.empty = false;
  }

  Status find_data_changes() {
    if (!since_) return {};
    POLDER_TRY(const auto changes,
               stores::read_account_data_changes(*snapshot_, request_.number, *since_,
                                                 answer_.next.position));
    for (const auto& [room, type] : changes)
      changed_data_[room].push_back(type);
    return {};
  }

  Result<std::vector<stores::AccountDataRow>> data_of(stores::RoomNumber room, bool all) const {
    if (all) return stores::read_all_account_data(*snapshot_, request_.number, room);
    std::vector<stores::AccountDataRow> rows;
    const auto changed = changed_data_.find(room);
    if (changed == changed_data_.end()) return rows;
    for (const std::string& type : changed->second) {
      POLDER_TRY(auto row, stores::read_account_data(*snapshot_, request_.number, room, type));
      if (row) rows.push_back(*std::move(row));
    }
    return rows;
  }

  static void write_data(json::Writer& writer, const EventFilter& filter,
                         const std::vector<stores::AccountDataRow>& rows) {
    writer.begin_object().key("events").begin_array();
    for (const auto& row : rows) {
      if (!filter.allows_type(row.type)) continue;
      writer.begin_object()
          .member("type", std::string_view(row.type))
          .key("content")
          .raw(row.content)
          .end_object();
    }
    writer.end_array().end_object();
  }

  // https://spec.matrix.org/v1.19/client-server-api/#push-rules-events
  Status add_push_rules(std::vector<stores::AccountDataRow>& rows) const {
    const auto changed = changed_data_.find(0);
    const bool told = since_ && (changed == changed_data_.end() ||
                                 std::ranges::find(changed->second, stores::kPushRulesType) ==
                                     changed->second.end());
    if (told) return {};
    stores::AccountDataRow row;
    row.type = stores::kPushRulesType;
    POLDER_TRY(row.content,
               services_.push_rules.account_data(*snapshot_, request_.number, request_.user));
    rows.push_back(std::move(row));
    return {};
  }

  Status write_global_data(json::Writer& writer) {
    POLDER_TRY(auto rows, data_of(0, !since_));
    POLDER_CHECK(add_push_rules(rows));
    if (!rows.empty()) answer_.empty = false;
    writer.key("account_data");
    write_data(writer, request_.filter.account_data, rows);
    return {};
  }

  Status add_other(const Room& room) {
    const stores::MembershipRow& row = room.row;
    // Other devices of the user learn that a room was left also if it was forgotten since; nobody
    // gets to see more of it.
    if (row.forgotten && !since_) return {};
    if (row.event == 0) return add_outside(room.number, row);
    if (since_ && row.position <= *since_) return {};
    switch (row.membership) {
      case Membership::kInvite:
        return add_invite(room.head, row);
      case Membership::kKnock:
        return add_stripped(room.head, knock_, "knock_state");
      case Membership::kLeave:
      case Membership::kBan:
        return since_ || request_.filter.include_leave ? add_left(room.head, row) : Status();
      default:
        return {};
    }
  }

  Status add_joined(const rooms::RoomHeadPtr& head, const stores::MembershipRow& row) {
    const bool fresh = !since_ || row.position > *since_ || request_.full_state;
    const bool events = fresh || head->last > *since_ || head->last_change > *since_;
    if (!events && !changed_data_.contains(head->number) &&
        !has_ephemeral(services_, head->number, *token_))
      return {};
    const RoomReader reader(engine_, head, snapshot_);
    const ReaderOf of{request_.user, request_.number, row};
    POLDER_TRY(const auto from, known_until(reader, row));
    POLDER_TRY(const json::Array ephemeral, ephemeral_of(reader, from.has_value()));
    if (!events && ephemeral.empty() && !changed_data_.contains(head->number)) return {};
    answer_.empty = false;
    RoomEvents room(query(), engine_, reader, of);
    writer_.key(head->record.id.view()).begin_object();
    POLDER_CHECK(room.write(writer_, from, answer_.next.position));
    POLDER_TRY(const auto data, data_of(head->number, !from));
    writer_.key("account_data");
    write_data(writer_, request_.filter.room_account_data, data);
    writer_.key("ephemeral").begin_object().key("events").value(json::Value(ephemeral));
    writer_.end_object();
    POLDER_CHECK(write_unread(reader, of));
    POLDER_CHECK(write_summary(reader, room));
    writer_.end_object();
    return {};
  }

  EventsQuery query() const { return {request_, !since_, ignored_}; }

  // Up to where the client knows the room: one that was joined since the token is new to it, unless
  // the user was in it before and only their profile changed.
  Result<std::optional<kv::Position>> known_until(const RoomReader& reader,
                                                  const stores::MembershipRow& row) const {
    if (!since_ || row.position <= *since_) return since_;
    POLDER_TRY(const auto root, state_at(reader, *since_));
    POLDER_TRY(const Membership before, reader.membership_at(root, request_.user.view()));
    return before == Membership::kJoin ? since_ : std::nullopt;
  }

  Result<json::Array> ephemeral_of(const RoomReader& reader, bool known_room) const {
    POLDER_TRY(json::Array events,
               ephemeral_events(services_, reader, request_.user,
                                known_room ? token_ : std::optional<StreamToken>(), answer_.next));
    std::erase_if(events, [&](const json::Value& event) {
      return !request_.filter.ephemeral.allows_type(*event.as_object()->find_string("type"));
    });
    return events;
  }

  Status add_left(const rooms::RoomHeadPtr& head, const stores::MembershipRow& row) {
    const RoomReader reader(engine_, head, snapshot_);
    const ReaderOf of{request_.user, request_.number, row};
    RoomEvents room(query(), engine_, reader, of);
    POLDER_TRY(const auto leaving, reader.shown(row.event));
    POLDER_TRY(const Membership before,
               reader.membership_at(leaving->state_before(), request_.user.view()));
    // Who declined an invite, took back a knock or was banned was not in the room: its state is not
    // for them.
    if (row.forgotten || before != Membership::kJoin) {
      std::string events = "[";
      POLDER_CHECK(room.append(row.event, *leaving, events));
      leave_.emplace_back(head->record.id, ended_room(events + "]", stream_token(answer_.next)));
      return {};
    }
    POLDER_TRY(const auto from, known_until(reader, row));
    std::string text;
    json::Writer writer(text);
    writer.begin_object();
    POLDER_CHECK(room.write(writer, from, std::min(row.position, answer_.next.position)));
    POLDER_TRY(const auto data, data_of(head->number, false));
    writer.key("account_data");
    write_data(writer, request_.filter.room_account_data, data);
    writer.end_object();
    leave_.emplace_back(head->record.id, std::move(text));
    return {};
  }

  // "Servers must not send room invites from ignored users to clients."
  Status add_invite(const rooms::RoomHeadPtr& head, const stores::MembershipRow& row) {
    const RoomReader reader(engine_, head, snapshot_);
    POLDER_TRY(const auto invite, reader.shown(row.event));
    if (ignored_.contains(invite->sender())) return {};
    return add_stripped(head, invite_, "invite_state");
  }

  Status add_stripped(const rooms::RoomHeadPtr& head, Section& section, std::string_view name) {
    const RoomReader reader(engine_, head, snapshot_);
    POLDER_TRY(std::string text, stripped_room(reader, request_.user, name));
    section.emplace_back(head->record.id, std::move(text));
    return {};
  }

  // A room that this server is not in, or in whose state the user is not any more.
  Status add_outside(stores::RoomNumber number, const stores::MembershipRow& row) {
    if (since_ && row.position <= *since_) return {};
    POLDER_TRY(std::string name, engine_.parts().names.name(stores::NameKind::kRoom, number));
    if (!request_.filter.allows_room(name)) return {};
    RoomId id = RoomId::trusted(std::move(name));
    const bool ended = row.membership == Membership::kLeave || row.membership == Membership::kBan;
    if (row.membership == Membership::kInvite) {
      if (ignored_.contains(outside_sender(row, request_.user))) return {};
      invite_.emplace_back(std::move(id), outside_room(row, "invite_state"));
    } else if (row.membership == Membership::kKnock) {
      knock_.emplace_back(std::move(id), outside_room(row, "knock_state"));
    } else if (ended && (since_ || request_.filter.include_leave)) {
      leave_.emplace_back(std::move(id), outside_ended_room(row, stream_token(answer_.next)));
    }
    return {};
  }

  // "If unread_thread_notifications was specified as true on the RoomEventFilter, these counts will
  // only be for the main timeline."
  Status write_unread(const RoomReader& reader, const ReaderOf& of) {
    POLDER_TRY(const push::Unread unread,
               services_.counts.unread(reader, of, answer_.next.position));
    const auto write = [this](std::string_view name, const push::Count& count) {
      writer_.key(name).begin_object();
      writer_.member("notification_count", static_cast<int64_t>(count.notifications));
      writer_.member("highlight_count", static_cast<int64_t>(count.highlights)).end_object();
    };
    const bool by_thread = request_.filter.unread_thread_notifications;
    write("unread_notifications", by_thread ? unread.main() : unread.total());
    if (!by_thread) return {};
    writer_.key("unread_thread_notifications").begin_object();
    for (const auto& [thread, count] : unread.threads)
      if (thread != rooms::kMainThread) write(thread, count);
    writer_.end_object();
    return {};
  }

  Status write_summary(const RoomReader& reader, const RoomEvents& room) {
    const stores::RoomRecord& record = reader.head().record;
    json::Array heroes;
    POLDER_TRY(const auto name, reader.state_event(record.state, "m.room.name", ""));
    POLDER_TRY(const auto alias, reader.state_event(record.state, "m.room.canonical_alias", ""));
    if (!name && !alias) {
      POLDER_TRY(heroes, room.heroes());
    }
    writer_.key("summary").begin_object();
    if (!heroes.empty()) writer_.key("m.heroes").value(heroes);
    writer_.member("m.joined_member_count", static_cast<int64_t>(record.joined));
    writer_.member("m.invited_member_count", static_cast<int64_t>(record.invited)).end_object();
    return {};
  }

  const Services& services_;
  const rooms::RoomEngine& engine_;
  const std::shared_ptr<const SyncRequest> shared_request_;
  const SyncRequest& request_;
  std::optional<StreamToken> token_;
  const std::optional<kv::Position> since_;
  std::shared_ptr<const kv::Snapshot> snapshot_;
  users::IgnoredUsers ignored_;
  std::unordered_map<stores::RoomNumber, std::vector<std::string>> changed_data_;
  std::vector<Room> joined_, others_;
  size_t next_ = 0;  // of joined_
  bool done_ = false;
  Section invite_, knock_, leave_;
  std::string text_;  // what was not given yet
  json::Writer writer_;
  Answer answer_;
};

}  // namespace

Result<Answer> build_response(const Services& services, std::shared_ptr<const SyncRequest> request,
                              const std::optional<StreamToken>& since) {
  const auto builder = std::make_shared<Builder>(services, std::move(request), since);
  POLDER_TRY(Answer answer, builder->begin());
  if (builder->done()) return answer;
  answer.more = [builder]() -> Result<std::optional<std::string>> {
    if (builder->done()) return std::optional<std::string>();
    POLDER_TRY(std::string piece, builder->more());
    return std::optional(std::move(piece));
  };
  return answer;
}

}  // namespace polder::sync
