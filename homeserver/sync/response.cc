#include "homeserver/sync/response.h"

#include <map>
#include <set>

#include "homeserver/json/write.h"
#include "homeserver/rooms/gaps.h"
#include "homeserver/rooms/reach.h"
#include "homeserver/rooms/reader.h"
#include "homeserver/sync/encryption.h"
#include "homeserver/sync/ephemeral.h"
#include "homeserver/sync/stripped.h"
#include "homeserver/users/ignored.h"
#include "storage/stores/user_rows.h"

namespace polder::sync {
namespace {

using rooms::ReaderOf;
using rooms::RoomReader;
using stores::Membership;

constexpr size_t kHeroesMax = 5;
constexpr size_t kTimelinePage = 21;          // entries read at once: most responses need one page
constexpr size_t kTimelineScannedMax = 5000;  // events that a filter leaves out

class Builder {
 public:
  Builder(const Services& services, const SyncRequest& request,
          const std::optional<StreamToken>& since)
      : services_(services),
        engine_(services.rooms),
        request_(request),
        token_(since),
        since_(since ? std::optional(since->position) : std::nullopt) {}

  Result<Answer> run() {
    // The position first: what the snapshot has beyond it comes with the next request.
    answer_.next.position = engine_.parts().committer.visible();
    answer_.next.typing_changes = services_.typing.changes();
    // A token of an earlier run of the program counts from another zero.
    if (token_ && token_->typing_changes > answer_.next.typing_changes) token_->typing_changes = 0;
    POLDER_TRY(const auto rooms,
               stores::read_rooms_of(*engine_.parts().database.snapshot(), request_.number));
    std::vector<rooms::RoomHeadPtr> heads;
    heads.reserve(rooms.size());
    for (const auto& [number, row] : rooms)
      heads.push_back(engine_.head(number));
    // After the heads, so that it has what they name.
    snapshot_ = engine_.parts().database.snapshot();
    POLDER_CHECK(find_names());
    POLDER_TRY(ignored_, users::IgnoredUsers::read(*snapshot_, request_.number, request_.user));
    POLDER_CHECK(find_data_changes());
    for (size_t i = 0; i < rooms.size(); ++i)
      POLDER_CHECK(add_room(rooms[i].first, rooms[i].second, heads[i]));
    json::Writer writer(answer_.text);
    writer.begin_object();
    POLDER_TRY(const bool news,
               write_encryption(writer, engine_, snapshot_, request_, token_, answer_.next));
    if (news) answer_.empty = false;
    writer.member("next_batch", std::string_view(stream_token(answer_.next)));
    POLDER_CHECK(write_global_data(writer));
    writer.key("rooms").begin_object();
    write_section(writer, "join", join_);
    write_section(writer, "invite", invite_);
    write_section(writer, "knock", knock_);
    write_section(writer, "leave", leave_);
    writer.end_object().end_object();
    return std::move(answer_);
  }

 private:
  using Section = std::vector<std::pair<RoomId, std::string>>;

  Status find_names() {
    POLDER_TRY(const auto type,
               engine_.parts().names.find(stores::NameKind::kType, "m.room.member"));
    member_type_ = static_cast<uint32_t>(type.value_or(0));
    return {};
  }

  void write_section(json::Writer& writer, std::string_view name, const Section& section) {
    writer.key(name).begin_object();
    for (const auto& [room, text] : section)
      writer.key(room.view()).raw(text);
    writer.end_object();
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

  Status add_room(stores::RoomNumber number, const stores::MembershipRow& row,
                  const rooms::RoomHeadPtr& head) {
    // Other devices of the user learn that a room was left also if it was forgotten since; nobody
    // gets to see more of it.
    if (row.forgotten && !since_) return {};
    if (row.event == 0) return add_outside(number, row);
    if (!head || !request_.filter.allows_room(head->record.id.view())) return {};
    const bool changed_for_user = !since_ || row.position > *since_;
    switch (row.membership) {
      case Membership::kJoin:
        answer_.joined.push_back(number);
        return add_joined(head, row);
      case Membership::kInvite:
        return changed_for_user ? add_invite(head, row) : Status();
      case Membership::kKnock:
        return changed_for_user ? add_stripped(head, knock_, "knock_state") : Status();
      case Membership::kLeave:
      case Membership::kBan:
        return changed_for_user && (since_ || request_.filter.include_leave) ? add_left(head, row)
                                                                             : Status();
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
    POLDER_TRY(const ReaderOf of, reader.reader(request_.user));
    POLDER_TRY(const auto from, known_until(reader, row));
    POLDER_TRY(const json::Array ephemeral, ephemeral_of(reader, from.has_value()));
    if (!events && ephemeral.empty() && !changed_data_.contains(head->number)) return {};
    std::string text;
    json::Writer writer(text);
    writer.begin_object();
    POLDER_CHECK(write_timeline_and_state(writer, reader, of, from, answer_.next.position));
    POLDER_TRY(const auto data, data_of(head->number, !from));
    writer.key("account_data");
    write_data(writer, request_.filter.room_account_data, data);
    writer.key("ephemeral").begin_object().key("events").value(json::Value(ephemeral)).end_object();
    POLDER_CHECK(write_unread(writer, reader, of));
    POLDER_CHECK(write_summary(writer, reader));
    writer.end_object();
    join_.emplace_back(head->record.id, std::move(text));
    return {};
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
    POLDER_TRY(const ReaderOf of, reader.reader(request_.user));
    POLDER_TRY(const auto leaving, reader.shown(row.event));
    POLDER_TRY(const Membership before,
               reader.membership_at(leaving->state_before(), request_.user.view()));
    // Who declined an invite, took back a knock or was banned was not in the room: its state is not
    // for them.
    if (row.forgotten || before != Membership::kJoin) {
      std::string events = "[";
      POLDER_CHECK(append_event(reader, of, row.event, *leaving, events));
      leave_.emplace_back(head->record.id, ended_room(events + "]", stream_token(answer_.next)));
      return {};
    }
    POLDER_TRY(const auto from, known_until(reader, row));
    std::string text;
    json::Writer writer(text);
    writer.begin_object();
    POLDER_CHECK(write_timeline_and_state(writer, reader, of, from,
                                          std::min(row.position, answer_.next.position)));
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

  // A room that this server is not in.
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

  Status append_event(const RoomReader& reader, const ReaderOf& of, stores::EventNumber number,
                      const rooms::ShownEvent& event, std::string& out) const {
    RoomReader::ClientOptions options;
    options.with_room_id = false;
    std::optional<std::string> transaction;
    if (event.sender() == request_.user.view()) {
      POLDER_TRY(transaction, stores::read_event_transaction(
                                  *snapshot_, request_.number, request_.device,
                                  EventId::trusted(std::string(event.id()))));
      if (transaction) options.transaction_id = *transaction;
    }
    return reader.append_client_event(of, number, event, options, out);
  }

  Status write_event(json::Writer& writer, const RoomReader& reader, const ReaderOf& of,
                     stores::EventNumber number, const rooms::ShownEvent& event) {
    event_text_.clear();
    POLDER_CHECK(append_event(reader, of, number, event, event_text_));
    writer.raw(event_text_);
    return {};
  }

  bool is_ignored(const rooms::ShownEvent& event) const {
    return ignored_.hides(event.sender(), event.is_state());
  }

  struct Timeline {
    std::vector<std::pair<stores::EventNumber, rooms::ShownEventPtr>> events;  // oldest first
    bool limited = false;
    bool begins_after_gap = false;  // before the first event, others are missing here
    std::optional<stores::StateRoot> state_before;  // the room's, at the first event
  };

  // What was missed between two servers is paged: a timeline has no holes. Local messages are built
  // on what is here.
  Result<bool> is_after_gap(const RoomReader& reader, stores::EventNumber number,
                            const rooms::ShownEvent& event) const {
    const size_t server = event.sender().find(':');
    const bool local = server != std::string_view::npos &&
                       event.sender().substr(server + 1) == engine_.parts().own_name.view();
    if (local && event.type() != "m.room.member") return false;
    POLDER_TRY(const auto held, reader.view().load(number));
    return rooms::has_gap_before(reader, held);
  }

  Result<Timeline> read_timeline(const RoomReader& reader, const ReaderOf& of,
                                 std::optional<kv::Position> from, kv::Position to) const {
    Timeline timeline;
    kv::Position first = 0;
    const Filter& filter = request_.filter;
    const bool wanted = filter.timeline.allows_room(reader.head().record.id.view());
    for (size_t scanned = 0; wanted && !timeline.limited; scanned += kTimelinePage) {
      POLDER_TRY(const auto entries,
                 stores::read_timeline_backwards(*snapshot_, reader.head().number, from.value_or(0),
                                                 to, kTimelinePage));
      for (const stores::TimelineEntry& entry : entries) {
        POLDER_TRY(auto event, reader.shown(entry.number));
        // What comes before an event that the user may not see is paged, if they may.
        POLDER_TRY(const bool visible, reader.visible(of, *event));
        timeline.limited = !visible;
        if (timeline.limited) break;
        const bool shown = filter.timeline.allows(*event) && !is_ignored(*event);
        timeline.limited = shown && timeline.events.size() == filter.timeline_limit;
        if (timeline.limited) break;
        POLDER_TRY(timeline.limited, is_after_gap(reader, entry.number, *event));
        timeline.begins_after_gap = shown && timeline.limited;
        if (shown) {
          timeline.events.emplace_back(entry.number, std::move(event));
          first = entry.position;
        }
        if (timeline.limited) break;
      }
      if (entries.size() < kTimelinePage) break;
      to = entries.back().position - 1;
      if (scanned > kTimelineScannedMax) timeline.limited = true;
    }
    std::ranges::reverse(timeline.events);
    if (timeline.events.empty()) return timeline;
    if (timeline.begins_after_gap) {
      // What changed in the gap is known by what holds after it.
      timeline.state_before = timeline.events.front().second->room_state();
      return timeline;
    }
    POLDER_TRY(timeline.state_before, state_at(reader, first - 1));
    // The first event that this server knows has the state that it came with.
    if (timeline.state_before->node == 0)
      timeline.state_before = timeline.events.front().second->state_before();
    return timeline;
  }

  Status write_timeline_and_state(json::Writer& writer, const RoomReader& reader,
                                  const ReaderOf& of, std::optional<kv::Position> from,
                                  kv::Position to) {
    POLDER_TRY(const Timeline timeline, read_timeline(reader, of, from, to));
    writer.key("timeline").begin_object().key("events").begin_array();
    for (const auto& [number, event] : timeline.events)
      POLDER_CHECK(write_event(writer, reader, of, number, *event));
    // A client may have an older timeline of a room that was entered since; this one does not go on
    // from there.
    const bool entered = since_ && !from;
    writer.end_array().member("limited", timeline.limited || entered);
    const kv::Position before =
        timeline.events.empty() ? to : timeline.events.front().second->position() - 1;
    writer.member("prev_batch", std::string_view(stream_token(before))).end_object();

    POLDER_TRY(const stores::StateRoot end, state_at(reader, to));
    const stores::StateRoot target =
        request_.use_state_after ? end : timeline.state_before.value_or(end);
    stores::StateRoot known;
    if (from && !request_.full_state) {
      POLDER_TRY(known, state_told(reader, *from));
    }
    const std::string_view name = !request_.use_state_after       ? "state"
                                  : request_.unstable_state_after ? "org.matrix.msc4222.state_after"
                                                                  : "state_after";
    writer.key(name).begin_object().key("events").begin_array();
    POLDER_CHECK(write_state_changes(writer, reader, of, known, target, timeline));
    writer.end_array().end_object();
    return {};
  }

  // Whose members a client needs: senders in the timeline, and the user. By state key.
  Result<std::map<uint64_t, std::string_view>> members_needed(const Timeline& timeline) const {
    std::set<std::string_view> users;
    users.insert(request_.user.view());
    for (const auto& [number, event] : timeline.events)
      users.insert(event->sender());
    std::map<uint64_t, std::string_view> needed;
    for (const std::string_view user : users) {
      POLDER_TRY(const auto key, engine_.parts().names.find(stores::NameKind::kStateKey, user));
      if (key) needed.emplace(*key, user);
    }
    return needed;
  }

  // What the user's client lacks between a state that it knows and the one at the timeline's start
  // (or, with state_after, at its end). With lazy loading, members only where they matter: senders
  // in the timeline, and whoever changed.
  Status write_state_changes(json::Writer& writer, const RoomReader& reader, const ReaderOf& of,
                             stores::StateRoot known, stores::StateRoot target,
                             const Timeline& timeline) {
    const bool lazy = request_.filter.lazy_load_members;
    std::map<uint64_t, std::string_view> needed;
    if (lazy) {
      POLDER_TRY(needed, members_needed(timeline));
    }
    POLDER_TRY(const auto differences, stores::state_diff(reader.view().nodes(), known, target));
    const bool initial = known.node == 0;
    // After a gap, the state is the one that the first event left.
    std::optional<stores::EventNumber> told;
    if (timeline.begins_after_gap && !request_.use_state_after) told = timeline.events[0].first;
    for (const stores::StateDifference& difference : differences) {
      if (!difference.after || difference.after == told) continue;
      if (lazy && difference.key.type == member_type_) {
        const bool sender = needed.erase(difference.key.key) > 0;
        if (initial && !sender) continue;
      }
      POLDER_TRY(const auto event, reader.shown(*difference.after));
      if (!request_.filter.state.allows(*event)) continue;
      POLDER_CHECK(write_event(writer, reader, of, *difference.after, *event));
    }
    // Senders whose membership did not change are sent again: the server does not remember who has
    // them.
    for (const auto& [key, user] : needed) {
      if (user == request_.user.view() && !initial) continue;
      POLDER_TRY(const auto number,
                 stores::state_get(reader.view().nodes(), target, {member_type_, key}));
      if (!number) continue;
      POLDER_TRY(const auto event, reader.shown(*number));
      POLDER_CHECK(write_event(writer, reader, of, *number, *event));
    }
    return {};
  }

  // "If unread_thread_notifications was specified as true on the RoomEventFilter, these counts will
  // only be for the main timeline."
  Status write_unread(json::Writer& writer, const RoomReader& reader, const ReaderOf& of) const {
    POLDER_TRY(const push::Unread unread,
               services_.counts.unread(reader, of, answer_.next.position));
    const auto write = [&writer](std::string_view name, const push::Count& count) {
      writer.key(name).begin_object();
      writer.member("notification_count", static_cast<int64_t>(count.notifications));
      writer.member("highlight_count", static_cast<int64_t>(count.highlights)).end_object();
    };
    const bool by_thread = request_.filter.unread_thread_notifications;
    write("unread_notifications", by_thread ? unread.main() : unread.total());
    if (!by_thread) return {};
    writer.key("unread_thread_notifications").begin_object();
    for (const auto& [thread, count] : unread.threads)
      if (thread != rooms::kMainThread) write(thread, count);
    writer.end_object();
    return {};
  }

  Result<json::Array> heroes_of(const RoomReader& reader) const {
    json::Array heroes;
    std::optional<Error> failure;
    POLDER_CHECK(stores::state_for_each(
        reader.view().nodes(), reader.head().record.state, member_type_,
        [&](const stores::StateEntry& entry) {
          const auto event = reader.shown(entry.event);
          if (!event.ok()) {
            failure = event.error();
            return false;
          }
          const Membership membership = (*event)->membership();
          const bool counts = membership == Membership::kJoin || membership == Membership::kInvite;
          if (counts && (*event)->state_key() != request_.user.view())
            heroes.emplace_back((*event)->state_key());
          return heroes.size() < kHeroesMax;
        }));
    if (failure) return *failure;
    return heroes;
  }

  Status write_summary(json::Writer& writer, const RoomReader& reader) {
    const stores::RoomRecord& record = reader.head().record;
    json::Array heroes;
    POLDER_TRY(const auto name, reader.state_event(record.state, "m.room.name", ""));
    POLDER_TRY(const auto alias, reader.state_event(record.state, "m.room.canonical_alias", ""));
    if (!name && !alias) {
      POLDER_TRY(heroes, heroes_of(reader));
    }
    writer.key("summary").begin_object();
    if (!heroes.empty()) writer.key("m.heroes").value(heroes);
    writer.member("m.joined_member_count", static_cast<int64_t>(record.joined));
    writer.member("m.invited_member_count", static_cast<int64_t>(record.invited)).end_object();
    return {};
  }

  const Services& services_;
  const rooms::RoomEngine& engine_;
  const SyncRequest& request_;
  std::optional<StreamToken> token_;
  const std::optional<kv::Position> since_;
  std::shared_ptr<const kv::Snapshot> snapshot_;
  users::IgnoredUsers ignored_;
  std::unordered_map<stores::RoomNumber, std::vector<std::string>> changed_data_;
  Section join_, invite_, knock_, leave_;
  uint32_t member_type_ = 0;  // the number of m.room.member
  std::string event_text_;    // of one event at a time
  Answer answer_;
};

}  // namespace

Result<Answer> build_response(const Services& services, const SyncRequest& request,
                              const std::optional<StreamToken>& since) {
  return Builder(services, request, since).run();
}

}  // namespace polder::sync
