#include "homeserver/rooms/read/reader.h"

#include "homeserver/base/json/write.h"
#include "homeserver/protocol/dag/power_levels.h"
#include "homeserver/protocol/events/client_format.h"
#include "homeserver/protocol/events/signing.h"
#include "homeserver/rooms/model/refusals.h"
#include "homeserver/rooms/read/aggregations.h"
#include "storage/stores/users/user_rows.h"

namespace polder::rooms {
namespace {

constexpr size_t kMembershipsMax = 100;  // of a user, looked at for the last time they were joined

}  // namespace

RoomReader::RoomReader(const RoomSource& rooms, RoomHeadPtr head)
    : RoomReader(rooms, std::move(head), rooms.database.snapshot()) {}

RoomReader::RoomReader(const RoomSource& rooms, RoomHeadPtr head,
                       std::shared_ptr<const kv::Snapshot> snapshot)
    : rooms_(rooms),
      snapshot_(std::move(snapshot)),
      head_(std::move(head)),
      content_(head_->number, head_->rules),
      view_(content_, *snapshot_, rooms_.names, rooms_.caches, Content::kAsVisible),
      redactions_(*snapshot_, head_->number),
      replaced_redactions_(*snapshot_, head_->number),
      relations_(*snapshot_, head_->number) {}

Result<std::vector<stores::TimelineEntry>> RoomReader::timeline_backwards(kv::Position from,
                                                                          kv::Position to,
                                                                          size_t limit) const {
  if (auto recent = head_->recent.between(from, to, limit)) return *std::move(recent);
  return stores::read_timeline_backwards(*snapshot_, head_->number, from, to, limit);
}

Result<ReaderOf> RoomReader::reader(const UserId& user) const {
  ReaderOf reader;
  reader.user = user;
  POLDER_TRY(const auto number, view_.names().find(stores::NameKind::kUser, user.view()));
  if (!number) return reader;
  reader.number = *number;
  POLDER_TRY(IgnoredUsers ignored, IgnoredUsers::read(*snapshot_, *number, user));
  if (!ignored.names().empty())
    reader.ignored = std::make_shared<const IgnoredUsers>(std::move(ignored));
  POLDER_TRY(const auto row, stores::read_membership(*snapshot_, *number, head_->number));
  if (row) reader.membership = *row;
  if (row && row->membership != Membership::kJoin && row->event != 0) {
    POLDER_TRY(reader.last_stay, last_stay(user, row->event));
  }
  return reader;
}

// Back from a user's membership event to the one that ended a join.
Result<std::optional<LastStay>> RoomReader::last_stay(const UserId& user,
                                                      EventNumber membership) const {
  for (size_t looked_at = 0; looked_at < kMembershipsMax; ++looked_at) {
    POLDER_TRY(const auto record, view_.find_record(membership));
    if (!record || record->standing.outlier) return std::optional<LastStay>();
    POLDER_TRY(const auto before,
               view_.state_number(record->state_before, "m.room.member", user.view()));
    if (!before) return std::optional<LastStay>();
    POLDER_TRY(const HeldEvent held, view_.load(*before));
    if (held.event->membership() == "join")
      return std::optional(LastStay{{record->depth, record->position}, record->state_after});
    membership = *before;
  }
  return std::optional<LastStay>();
}

Result<std::vector<EventNumber>> RoomReader::state_events(
    stores::StateRoot root, std::optional<std::string_view> type) const {
  std::vector<EventNumber> events;
  std::optional<uint32_t> type_number;
  if (type) {
    POLDER_TRY(const auto number, view_.names().find(stores::NameKind::kType, *type));
    if (!number) return events;
    type_number = static_cast<uint32_t>(*number);
  }
  POLDER_CHECK(stores::state_for_each(view_.nodes(), root, type_number,
                                      [&](const stores::StateEntry& entry) {
                                        events.push_back(entry.event);
                                        return true;
                                      }));
  return events;
}

Status RoomReader::for_each_state(
    stores::StateRoot root, std::optional<std::string_view> type,
    const std::function<void(EventNumber, const HeldEvent&)>& visit) const {
  POLDER_TRY(const auto events, state_events(root, type));
  for (const EventNumber number : events) {
    POLDER_TRY(const HeldEvent held, view_.load(number));
    visit(number, held);
  }
  return {};
}

Result<std::vector<events::EventPtr>> RoomReader::stripped_events(stores::StateRoot root) const {
  std::vector<events::EventPtr> found;
  for (const std::string_view type :
       {"m.room.create", "m.room.join_rules", "m.room.canonical_alias", "m.room.avatar",
        "m.room.name", "m.room.topic", "m.room.encryption"}) {
    POLDER_TRY(auto event, state_event(root, type, ""));
    if (event) found.push_back(std::move(event));
  }
  return found;
}

Result<Membership> RoomReader::membership_at(stores::StateRoot root, std::string_view user) const {
  POLDER_TRY(const auto event, view_.state_event(root, "m.room.member", user));
  return event ? stores::membership_from(event->membership()) : Membership::kNone;
}

Result<bool> RoomReader::may_send_state(const UserId& user, std::string_view type) const {
  const stores::StateRoot now = head_->record.state;
  POLDER_TRY(const Membership membership, membership_at(now, user.view()));
  const RoomView sent = as_sent();
  POLDER_TRY(const auto create, sent.state_event(now, "m.room.create", ""));
  POLDER_TRY(const auto levels, sent.state_event(now, "m.room.power_levels", ""));
  if (membership != Membership::kJoin || !create) return false;
  const dag::PowerLevels power(*create, levels.get());
  return power.user(user.view()) >= power.required_for(type, true);
}

Result<EventNumber> RoomReader::entry_at(Remembered& remembered, stores::StateRoot root,
                                         std::string_view type, std::string_view key) const {
  if (remembered.asked && remembered.root == root) return remembered.event;
  if (!remembered.key) {
    POLDER_TRY(remembered.key, view_.state_key(type, key));
  }
  std::optional<EventNumber> found;
  if (remembered.key) {
    POLDER_TRY(found, stores::state_get(view_.nodes(), root, *remembered.key));
  }
  remembered.asked = true;
  remembered.root = root;
  remembered.event = found.value_or(0);
  return remembered.event;
}

Result<Membership> RoomReader::own_membership_at(stores::StateRoot root,
                                                 const ReaderOf& reader) const {
  if (own_user_ != reader.user) {
    own_ = {};
    own_user_ = reader.user;
    own_event_ = 0;
  }
  POLDER_TRY(const EventNumber number, entry_at(own_, root, "m.room.member", reader.user.view()));
  if (number == 0) return Membership::kNone;
  if (number == own_event_) return own_membership_;
  POLDER_TRY(const ShownEventPtr event, shown(number));
  own_event_ = number;
  own_membership_ = event->membership();
  return own_membership_;
}

Result<std::string_view> RoomReader::visibility_at(stores::StateRoot root) const {
  POLDER_TRY(const EventNumber number,
             entry_at(visibility_, root, "m.room.history_visibility", ""));
  // "By default if no history_visibility is set, or if the value is not understood, the visibility
  // is assumed to be shared."
  if (number == 0) return std::string_view("shared");
  POLDER_TRY(const auto event, view_.load(number));
  const std::string* setting = event.event->content().find_string("history_visibility");
  if (setting == nullptr) return std::string_view("shared");
  for (const std::string_view known : {"world_readable", "joined", "invited"}) {
    if (*setting == known) return known;
  }
  return std::string_view("shared");
}

RoomReader::Seen RoomReader::seen_of(const ReaderOf& reader, const HeldEvent& event) {
  const stores::EventRecord& record = event.record;
  return {record.state_before,
          record.state_after,
          record.position,
          record.depth,
          record.standing,
          event.event->is_state("m.room.history_visibility", ""),
          event.event->is_state("m.room.member", reader.user.view()),
          stores::membership_from(event.event->membership())};
}

Result<bool> RoomReader::visible(const ReaderOf& reader, const HeldEvent& event) const {
  return may_see(reader, seen_of(reader, event));
}

Result<bool> RoomReader::sees_room_at(const ReaderOf& reader, const HeldEvent& event) const {
  return history_allows(reader, seen_of(reader, event));
}

Result<bool> RoomReader::visible(const ReaderOf& reader, const ShownEvent& event) const {
  return may_see(reader,
                 {event.state_before(), event.state_after(), event.position(), event.depth(),
                  event.standing(), event.is_state("m.room.history_visibility", ""),
                  event.is_state("m.room.member", reader.user.view()), event.membership()});
}

// Not among the specification's rules: who is invited or knocking learns that it is over. Else
// /sync would name the room among those that were left and show nothing of it.
Result<bool> RoomReader::ends_own_asking(const ReaderOf& reader, const Seen& event) const {
  if (!event.is_own_membership ||
      (event.membership != Membership::kLeave && event.membership != Membership::kBan))
    return false;
  POLDER_TRY(const Membership before, own_membership_at(event.state_before, reader));
  return before == Membership::kInvite || before == Membership::kKnock;
}

Result<bool> RoomReader::may_see(const ReaderOf& reader, const Seen& event) const {
  if (event.standing.rejected || event.standing.soft_failed) return false;
  if (event.depth < head_->record.history_from) return false;  // purged, or about to be
  POLDER_TRY(const bool about_themselves, ends_own_asking(reader, event));
  return about_themselves ? Result<bool>(true) : history_allows(reader, event);
}

Result<bool> RoomReader::history_allows(const ReaderOf& reader, const Seen& event) const {
  // A visibility or membership event counts with what holds before and with what holds after it.
  std::array<stores::StateRoot, 2> roots = {event.state_after, event.state_before};
  const size_t count = event.sets_visibility || event.is_own_membership ? 2 : 1;
  for (const stores::StateRoot root : std::span(roots).first(count)) {
    POLDER_TRY(const std::string_view visibility, visibility_at(root));
    // 1. world_readable: allow.
    if (visibility == "world_readable") return true;
    // Who forgot the room is "no longer able to retrieve history".
    // https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidforget
    if (reader.membership.forgotten) continue;
    // 2. The user was joined: allow.
    POLDER_TRY(const Membership membership, own_membership_at(root, reader));
    if (membership == Membership::kJoin) return true;
    // 3. shared, and the user joined at any point after the event was sent: allow.
    const bool joined_since = reader.membership.membership == Membership::kJoin;
    if (visibility == "shared" && joined_since) return true;
    // 4. The user was invited and the visibility is invited: allow.
    if (visibility == "invited" && membership == Membership::kInvite) return true;
  }
  // 5. Otherwise: deny. Who left sees what was shared while they were a member, or before.
  if (!reader.last_stay || reader.membership.forgotten) return false;
  const stores::DepthPlace end = reader.last_stay->end;
  const bool earlier =
      event.standing.backfilled ? event.depth < end.depth : event.position <= end.position;
  if (!earlier) return false;
  POLDER_TRY(const std::string_view visibility, visibility_at(event.state_after));
  return visibility == "shared";
}

Result<stores::StateRoot> RoomReader::visible_state(const ReaderOf& reader) const {
  if (reader.membership.membership == Membership::kJoin) return head_->record.state;
  POLDER_TRY(const std::string_view visibility, visibility_at(head_->record.state));
  if (visibility == "world_readable") return head_->record.state;
  if (reader.last_stay && !reader.membership.forgotten) return reader.last_stay->state;
  return not_in_room();
}

Result<bool> RoomReader::is_erased(const events::Event& event) const {
  if (event.is_state() && !event.is("m.room.member")) return false;
  return is_erased(event.sender().view());
}

Result<bool> RoomReader::is_erased(std::string_view sender) const {
  const UserId user = UserId::trusted(std::string(sender));
  if (user.server() != rooms_.own_name.view()) return false;
  POLDER_TRY(const auto number, view_.names().find(stores::NameKind::kUser, sender));
  if (!number) return false;
  POLDER_TRY(const auto account, stores::read_account(*snapshot_, *number));
  return account && account->erased;
}

Result<ShownEventPtr> RoomReader::make_shown(const HeldEvent& event) const {
  std::optional<EventNumber> number;
  if (event.event->is_state()) {
    POLDER_TRY(number, view_.state_number(event.record.state_before, event.event->type(),
                                          *event.event->state_key()));
  }
  if (!number) return std::make_shared<const ShownEvent>(event, nullptr, head_->rewrites);
  ShownEvent::Replaced replaced{*number, {}};
  POLDER_TRY(replaced.event, view_.load(*number));
  return std::make_shared<const ShownEvent>(event, &replaced, head_->rewrites);
}

Result<ShownEventPtr> RoomReader::shown(EventNumber number) const {
  auto& kept = rooms_.caches.shown;
  if (ShownEventPtr event = kept.find(head_->number, number);
      event && event->as_of() >= head_->rewrites) {
    POLDER_TRY(const bool current, is_as_visible(number, *event));
    if (current) return event;
  }
  POLDER_TRY(const HeldEvent held, view_.load(number));
  POLDER_TRY(ShownEventPtr event, make_shown(held));
  kept.insert(head_->number, number, event, event->bytes());
  return event;
}

Result<bool> RoomReader::is_redacted(EventNumber number) const {
  POLDER_TRY(const auto redaction, redactions_.find(number));
  return redaction.has_value();
}

// What was made before a redaction came has what that took away.
Result<bool> RoomReader::is_as_visible(EventNumber number, const ShownEvent& event) const {
  POLDER_TRY(const auto redaction, redactions_.find(number));
  if (redaction.value_or(0) != event.redaction()) return false;
  if (event.replaced_number() == 0) return true;
  POLDER_TRY(const auto of_replaced, replaced_redactions_.find(event.replaced_number()));
  return of_replaced.value_or(0) == event.replaced_redaction();
}

Result<RoomReader::Presentation> RoomReader::presentation(const ReaderOf& reader,
                                                          const ShownEvent& event,
                                                          const ClientOptions& options) const {
  Presentation shown_as;
  POLDER_TRY(shown_as.membership, own_membership_at(event.state_after(), reader));
  shown_as.redacted = options.redacted || event.redaction() != 0;
  const bool erasable = !event.is_state() || event.type() == "m.room.member";
  if (shown_as.membership != Membership::kJoin && erasable && !shown_as.redacted) {
    POLDER_TRY(shown_as.redacted, is_erased(event.sender()));
  }
  return shown_as;
}

// What an erased user said before is not told to who was not there.
Status RoomReader::append_replaced(const ShownEvent& event, Membership membership,
                                   std::string& out) const {
  if (event.replaced().empty()) return {};
  if (membership != Membership::kJoin) {
    POLDER_TRY(const auto replaced,
               view_.state_event(event.state_before(), event.type(), event.state_key()));
    POLDER_TRY(const bool erased, replaced ? is_erased(*replaced) : Result<bool>(false));
    if (erased) {
      out.append(",\"prev_sender\":");
      json::write_string_to(replaced->sender().view(), out);
      out.append(",\"replaces_state\":");
      json::write_string_to(replaced->id().view(), out);
      return {};
    }
  }
  out.append(event.replaced());
  return {};
}

Status RoomReader::append_unsigned(const ReaderOf& reader, EventNumber number,
                                   const ShownEvent& event, const ClientOptions& options,
                                   const Presentation& shown_as, std::string& out) const {
  const int64_t age = rooms_.runtime.clock().wall_ms() - event.origin_server_ts();
  out.append("{\"age\":").append(std::to_string(std::max<int64_t>(age, 0)));
  out.append(",\"membership\":\"")
      .append(shown_as.membership == Membership::kNone ? std::string_view("leave")
                                                       : stores::to_string(shown_as.membership))
      .append("\"");
  if (!options.transaction_id.empty()) {
    out.append(",\"transaction_id\":");
    json::write_string_to(options.transaction_id, out);
  }
  POLDER_CHECK(append_replaced(event, shown_as.membership, out));
  if (event.redaction() != 0) {
    POLDER_TRY(const ShownEventPtr because, shown(event.redaction()));
    out.append(",\"redacted_by\":");
    json::write_string_to(because->id(), out);
    out.append(",\"redacted_because\":").append(because->head()).append(",\"room_id\":");
    json::write_string_to(head_->record.id.view(), out);
    out.append("}");
  }
  if (options.bundle && !event.is_state()) {
    POLDER_TRY(const bool related, relations_.any(EventId::trusted(std::string(event.id()))));
    if (related) {
      POLDER_TRY(const HeldEvent held, view_.load(number));
      POLDER_TRY(const std::string relations,
                 bundled_relations(*this, reader, held, shown_as.redacted));
      if (!relations.empty()) out.append(",\"m.relations\":").append(relations);
    }
  }
  out.append("}");
  return {};
}

Status RoomReader::append_client_event(const ReaderOf& reader, EventNumber number,
                                       const ShownEvent& event, const ClientOptions& options,
                                       std::string& out) const {
  POLDER_TRY(const Presentation shown_as, presentation(reader, event, options));
  if (shown_as.redacted && event.redaction() == 0) {
    POLDER_TRY(const HeldEvent held, view_.load(number));
    out.append(events::client_head(*held.event, true));
  } else {
    out.append(event.head());
  }
  if (options.with_room_id) {
    out.append(",\"room_id\":");
    json::write_string_to(head_->record.id.view(), out);
  }
  out.append(",\"unsigned\":");
  POLDER_CHECK(append_unsigned(reader, number, event, options, shown_as, out));
  out.append("}");
  return {};
}

Result<std::string> RoomReader::client_event(const ReaderOf& reader, EventNumber number,
                                             const HeldEvent& event,
                                             const ClientOptions& options) const {
  POLDER_TRY(const ShownEventPtr shown, make_shown(event));
  std::string text;
  POLDER_CHECK(append_client_event(reader, number, *shown, options, text));
  return text;
}

}  // namespace polder::rooms
