#include "homeserver/sync/classic/response.h"

#include "homeserver/base/json/write.h"
#include "homeserver/rooms/model/event_thread.h"
#include "homeserver/rooms/read/reader.h"
#include "homeserver/sync/classic/room_events.h"
#include "homeserver/sync/classic/streams.h"
#include "homeserver/sync/classic/stripped.h"
#include "storage/stores/users/user_rows.h"

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
  Builder(const Services& services, std::shared_ptr<const SyncRequest> request, Look look)
      : rooms_(services.rooms),
        shared_request_(std::move(request)),
        request_(*shared_request_),
        since_(look.since ? std::optional(look.since->position) : std::nullopt),
        owed_from_(look.since ? look.since->owed_from : 0),
        sent_(std::move(look.sent)),
        reading_{
            .services = services, .request = request_, .since = look.since, .first = look.first},
        writer_(text_) {}

  Result<Answer> begin() {
    // The position first: what the snapshot has beyond it comes with the next request.
    reading_.next.position = reading_.services.committer.visible();
    POLDER_CHECK(find_rooms());
    // After the heads, so that it has what they name.
    reading_.snapshot = rooms_.database.snapshot();
    POLDER_CHECK(check_session());
    POLDER_CHECK(streams_.begin(reading_));
    for (const Room& room : others_)
      POLDER_CHECK(add_other(room));
    text_.reserve(since_ ? 0 : kPieceBytes);
    writer_.begin_object();
    POLDER_CHECK(note_news(streams_.write(reading_, Part::kMembers, writer_)));
    writer_.key("account_data").begin_object().key("events").begin_array();
    POLDER_CHECK(note_news(streams_.write(reading_, Part::kAccountData, writer_)));
    writer_.end_array().end_object();
    writer_.key("rooms").begin_object();
    write_section("invite", invite_);
    write_section("knock", knock_);
    write_section("leave", leave_);
    writer_.key("join").begin_object();
    POLDER_TRY(std::string text, joined_rooms());
    answer_.text = std::move(text);
    answer_.next = reading_.next;
    answer_.acknowledged = std::move(reading_.acknowledged);
    return std::move(answer_);
  }

  bool done() const { return done_; }

  // The next piece.
  Result<std::string> more() {
    reading_.snapshot = rooms_.database.snapshot();
    return joined_rooms();
  }

 private:
  struct Room {
    stores::RoomNumber number = 0;
    const stores::MembershipRow* row = nullptr;  // in reading_
    rooms::RoomHeadPtr head;
  };
  using Section = std::vector<std::pair<RoomId, std::string>>;

  // "401: M_UNKNOWN_TOKEN", also for a request that has waited since before the session's end.
  Status check_session() const {
    if (request_.session == Digest{}) return {};
    POLDER_TRY(const auto row, stores::read_session(*reading_.snapshot, request_.session));
    const int64_t now = rooms_.runtime.clock().wall_ms();
    if (row && (row->expires_ms == 0 || row->expires_ms > now)) return {};
    return fail(ErrorCode::kUnauthenticated, "Unrecognised access token");
  }

  Status find_rooms() {
    POLDER_TRY(reading_.rooms, stores::read_rooms_of(*rooms_.database.snapshot(), request_.number));
    for (auto& [number, row] : reading_.rooms) {
      Room room{number, &row, rooms_.head(number)};
      if (row.event != 0 && !room.head) POLDER_CHECK(read_again(number, row));
      const bool joined = row.membership == Membership::kJoin && row.event != 0;
      if (row.event != 0 &&
          (!room.head || !request_.filter->allows_room(room.head->record.id.view())))
        continue;
      if (joined) answer_.joined.push_back(number);
      (joined ? joined_ : others_).push_back(std::move(room));
    }
    return {};
  }

  // Of a room that was purged since its row was read, which says now that the user left.
  Status read_again(stores::RoomNumber number, stores::MembershipRow& row) {
    POLDER_TRY(auto now,
               stores::read_membership(*rooms_.database.snapshot(), request_.number, number));
    if (now) row = *std::move(now);
    return {};
  }

  // Read once it is asked for: most that wait are told of nobody's events.
  Result<const push::Judgement*> judgement() {
    if (!judgement_) {
      POLDER_TRY(judgement_, reading_.services.counts.judgement(*reading_.snapshot, request_.number,
                                                                request_.user));
    }
    return &*judgement_;
  }
  Result<std::shared_ptr<const rooms::IgnoredUsers>> ignored() {
    POLDER_TRY(const push::Judgement* all, judgement());
    return all->ignored;
  }
  // Who reads a room with this row.
  Result<ReaderOf> reader_of(const stores::MembershipRow& row) {
    POLDER_TRY(auto hidden, ignored());
    return ReaderOf{request_.user, request_.number, row, {}, std::move(hidden)};
  }

  EventsQuery query() const {
    return {request_, !since_, reading_.next.position, owed_from_, sent_.get()};
  }

  Status note_news(const Result<bool>& written) {
    if (!written.ok()) return written.error();
    if (*written) answer_.empty = false;
    return {};
  }

  // Up to a piece of what has been written since the last one, to the end of the response.
  Result<std::string> joined_rooms() {
    for (; next_ < joined_.size() && text_.size() < kPieceBytes; ++next_)
      POLDER_CHECK(add_joined(joined_[next_].head, *joined_[next_].row));
    reading_.snapshot = nullptr;  // not kept while the piece is sent
    done_ = next_ == joined_.size();
    if (done_) end();
    return std::exchange(text_, {});
  }

  // The token last: the rooms say what it owes.
  void end() {
    writer_.end_object().end_object();
    writer_.member("next_batch", std::string_view(stream_token(reading_.next))).end_object();
  }

  void write_section(std::string_view name, const Section& section) {
    writer_.key(name).begin_object();
    for (const auto& [room, text] : section)
      writer_.key(room.view()).raw(text);
    writer_.end_object();
    if (!section.empty()) answer_.empty = false;
  }

  Status add_other(const Room& room) {
    const stores::MembershipRow& row = *room.row;
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
        return since_ || request_.filter->include_leave ? add_left(room.head, row) : Status();
      default:
        return {};
    }
  }

  Status add_joined(const rooms::RoomHeadPtr& head, const stores::MembershipRow& row) {
    const bool fresh = !since_ || row.position > *since_ || request_.full_state;
    const bool owed = owed_from_ != 0 && head->last >= owed_from_;
    const bool events = fresh || owed || head->last > *since_ || head->last_change > *since_;
    if (!events && !streams_.have_news(reading_, head->number)) return {};
    const RoomReader reader(rooms_, head, reading_.snapshot);
    POLDER_TRY(const ReaderOf of, reader_of(row));
    POLDER_TRY(const auto from, known_until(reader, row));
    if (!from || request_.full_state) {
      answer_.empty = false;
      writer_.key(head->record.id.view());
      POLDER_CHECK(write_joined(writer_, reader, of, from));
      return {};
    }
    // There is nothing in it, perhaps, that the filter lets through.
    room_text_.clear();
    json::Writer writer(room_text_);
    POLDER_TRY(const bool news, write_joined(writer, reader, of, from));
    if (!news) return {};
    answer_.empty = false;
    writer_.key(head->record.id.view()).raw(room_text_);
    return {};
  }

  Result<bool> write_joined(json::Writer& writer, const RoomReader& reader, const ReaderOf& of,
                            std::optional<kv::Position> from) {
    RoomEvents room(query(), rooms_, reader, of);
    const RoomReading known{reader, from.has_value()};
    writer.begin_object();
    POLDER_TRY(const bool events, room.write(writer, from, reading_.next.position));
    if (const kv::Position owes = room.owes_from(); owes != 0) {
      kv::Position& first = reading_.next.owed_from;
      first = first == 0 ? owes : std::min(first, owes);
    }
    writer.key("account_data").begin_object().key("events").begin_array();
    POLDER_TRY(const bool data,
               streams_.write_room(reading_, known, Part::kRoomAccountData, writer));
    writer.end_array().end_object();
    writer.key("ephemeral").begin_object().key("events").begin_array();
    POLDER_TRY(const bool ephemeral,
               streams_.write_room(reading_, known, Part::kEphemeral, writer));
    writer.end_array().end_object();
    const bool news = events || data || ephemeral || !from;
    if (news) {
      POLDER_CHECK(write_unread(writer, reader, of));
      POLDER_CHECK(write_summary(writer, reader, room, from));
    }
    writer.end_object();
    return news;
  }

  // Up to where the client knows the room: one that was joined since the token is new to it, unless
  // the user was in it before and only their profile changed.
  Result<std::optional<kv::Position>> known_until(const RoomReader& reader,
                                                  const stores::MembershipRow& row) const {
    if (!since_ || row.position <= *since_) return since_;
    POLDER_TRY(const auto root, state_at(reader, *since_));
    POLDER_TRY(const Membership before, reader.membership_at(root, request_.user.view()));
    return before == Membership::kJoin ? since_ : std::nullopt;
  }

  Status add_left(const rooms::RoomHeadPtr& head, const stores::MembershipRow& row) {
    const RoomReader reader(rooms_, head, reading_.snapshot);
    POLDER_TRY(const ReaderOf of, reader_of(row));
    RoomEvents room(query(), rooms_, reader, of);
    POLDER_TRY(const auto leaving, reader.shown(row.event));
    POLDER_TRY(const Membership before,
               reader.membership_at(leaving->state_before(), request_.user.view()));
    // Who declined an invite, took back a knock or was banned was not in the room: its state is not
    // for them.
    if (row.forgotten || before != Membership::kJoin) {
      std::string events = "[";
      POLDER_CHECK(room.append(row.event, *leaving, events));
      leave_.emplace_back(head->record.id, ended_room(events + "]", stream_token(reading_.next)));
      return {};
    }
    POLDER_TRY(const auto from, known_until(reader, row));
    std::string text;
    json::Writer writer(text);
    writer.begin_object();
    POLDER_CHECK(room.write(writer, from, std::min(row.position, reading_.next.position)));
    writer.key("account_data").begin_object().key("events").begin_array();
    POLDER_CHECK(streams_.write_room(reading_, {reader, true}, Part::kRoomAccountData, writer));
    writer.end_array().end_object();
    writer.end_object();
    leave_.emplace_back(head->record.id, std::move(text));
    return {};
  }

  // "Servers must not send room invites from ignored users to clients."
  Status add_invite(const rooms::RoomHeadPtr& head, const stores::MembershipRow& row) {
    const RoomReader reader(rooms_, head, reading_.snapshot);
    POLDER_TRY(const auto invite, reader.shown(row.event));
    POLDER_TRY(const auto hidden, ignored());
    if (hidden->contains(invite->sender())) return {};
    return add_stripped(head, invite_, "invite_state");
  }

  Status add_stripped(const rooms::RoomHeadPtr& head, Section& section, std::string_view name) {
    const RoomReader reader(rooms_, head, reading_.snapshot);
    POLDER_TRY(std::string text, stripped_room(reader, request_.user, name));
    section.emplace_back(head->record.id, std::move(text));
    return {};
  }

  // A room that this server is not in, or in whose state the user is not any more.
  Status add_outside(stores::RoomNumber number, const stores::MembershipRow& row) {
    if (since_ && row.position <= *since_) return {};
    POLDER_TRY(std::string name, rooms_.names.name(stores::NameKind::kRoom, number));
    if (!request_.filter->allows_room(name)) return {};
    RoomId id = RoomId::trusted(std::move(name));
    const bool ended = row.membership == Membership::kLeave || row.membership == Membership::kBan;
    if (row.membership == Membership::kInvite) {
      POLDER_TRY(const auto hidden, ignored());
      if (hidden->contains(outside_sender(row, request_.user))) return {};
      invite_.emplace_back(std::move(id), outside_room(row, "invite_state"));
    } else if (row.membership == Membership::kKnock) {
      knock_.emplace_back(std::move(id), outside_room(row, "knock_state"));
    } else if (ended && (since_ || request_.filter->include_leave)) {
      leave_.emplace_back(std::move(id), outside_ended_room(row, stream_token(reading_.next)));
    }
    return {};
  }

  // "If unread_thread_notifications was specified as true on the RoomEventFilter, these counts will
  // only be for the main timeline."
  Status write_unread(json::Writer& writer, const RoomReader& reader, const ReaderOf& of) {
    POLDER_TRY(const push::Judgement* by, judgement());
    POLDER_TRY(const push::Unread unread,
               reading_.services.counts.unread(reader, of, *by, reading_.next.position));
    const auto write = [&writer](std::string_view name, const push::Count& count) {
      writer.key(name).begin_object();
      writer.member("notification_count", static_cast<int64_t>(count.notifications));
      writer.member("highlight_count", static_cast<int64_t>(count.highlights)).end_object();
    };
    const bool by_thread = request_.filter->unread_thread_notifications;
    write("unread_notifications", by_thread ? unread.main() : unread.total());
    if (!by_thread) return {};
    writer.key("unread_thread_notifications").begin_object();
    for (const auto& [thread, count] : unread.threads)
      if (thread != rooms::kMainThread) write(thread, count);
    writer.end_object();
    return {};
  }

  // An event that names the room by nothing is as good as none.
  static bool says(const events::EventPtr& event, std::string_view name) {
    const std::string* text = event ? event->content().find_string(name) : nullptr;
    return text != nullptr && !text->empty();
  }

  // What is the same since then is left out: to find the heroes, all members are looked at.
  static Status write_summary(json::Writer& writer, const RoomReader& reader,
                              const RoomEvents& room, std::optional<kv::Position> since) {
    const stores::RoomRecord& record = reader.head().record;
    json::Array heroes;
    if (!since || reader.head().last_change > *since) {
      POLDER_TRY(const auto name, reader.state_event(record.state, "m.room.name", ""));
      POLDER_TRY(const auto alias, reader.state_event(record.state, "m.room.canonical_alias", ""));
      if (!says(name, "name") && !says(alias, "alias")) {
        POLDER_TRY(heroes, room.heroes());
      }
    }
    writer.key("summary").begin_object();
    if (!heroes.empty()) writer.key("m.heroes").value(heroes);
    writer.member("m.joined_member_count", static_cast<int64_t>(record.joined));
    writer.member("m.invited_member_count", static_cast<int64_t>(record.invited)).end_object();
    return {};
  }

  const rooms::RoomSource& rooms_;
  const std::shared_ptr<const SyncRequest> shared_request_;
  const SyncRequest& request_;
  const std::optional<kv::Position> since_;
  const kv::Position owed_from_;
  const std::shared_ptr<SentMembers::OfDevice> sent_;
  Reading reading_;
  Streams streams_;
  std::optional<push::Judgement> judgement_;
  std::vector<Room> joined_, others_;
  size_t next_ = 0;  // of joined_
  bool done_ = false;
  Section invite_, knock_, leave_;
  std::string text_;       // what was not given yet
  std::string room_text_;  // of one room at a time
  json::Writer writer_;
  Answer answer_;
};

}  // namespace

Result<Answer> build_response(const Services& services, std::shared_ptr<const SyncRequest> request,
                              Look look) {
  const auto builder = std::make_shared<Builder>(services, std::move(request), std::move(look));
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
