#include "homeserver/rooms/reader.h"

#include "homeserver/dag/power_levels.h"
#include "homeserver/events/client_format.h"
#include "homeserver/events/signing.h"
#include "homeserver/json/write.h"
#include "homeserver/rooms/aggregations.h"
#include "storage/stores/relation_rows.h"

namespace polder::rooms {

RoomReader::RoomReader(const RoomEngine& engine, RoomHeadPtr head)
    : RoomReader(engine, std::move(head), engine.parts().database.snapshot()) {}

RoomReader::RoomReader(const RoomEngine& engine, RoomHeadPtr head,
                       std::shared_ptr<const kv::Snapshot> snapshot)
    : engine_(engine),
      snapshot_(std::move(snapshot)),
      head_(std::move(head)),
      content_(head_->number, head_->rules),
      view_(content_, *snapshot_, engine_.parts().names, engine_.caches()),
      redactions_(*snapshot_, head_->number),
      relations_(*snapshot_, head_->number) {}

Result<ReaderOf> RoomReader::reader(const UserId& user) const {
  ReaderOf reader;
  reader.user = user;
  POLDER_TRY(const auto number, view_.names().find(stores::NameKind::kUser, user.view()));
  if (!number) return reader;
  reader.number = *number;
  POLDER_TRY(const auto row, stores::read_membership(*snapshot_, *number, head_->number));
  if (row) reader.membership = *row;
  return reader;
}

Status RoomReader::for_each_state(
    stores::StateRoot root, std::optional<std::string_view> type,
    const std::function<void(EventNumber, const HeldEvent&)>& visit) const {
  std::optional<uint32_t> type_number;
  if (type) {
    POLDER_TRY(const auto number, view_.names().find(stores::NameKind::kType, *type));
    if (!number) return {};
    type_number = static_cast<uint32_t>(*number);
  }
  std::optional<Error> failure;
  POLDER_CHECK(stores::state_for_each(view_.nodes(), root, type_number,
                                      [&](const stores::StateEntry& entry) {
                                        const auto held = view_.load(entry.event);
                                        if (!held.ok()) {
                                          failure = held.error();
                                          return false;
                                        }
                                        visit(entry.event, *held);
                                        return true;
                                      }));
  return failure ? Status(*failure) : Status();
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
  POLDER_TRY(const auto create, view_.state_event(now, "m.room.create", ""));
  POLDER_TRY(const auto levels, view_.state_event(now, "m.room.power_levels", ""));
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

Result<bool> RoomReader::visible(const ReaderOf& reader, const HeldEvent& event) const {
  const stores::EventRecord& record = event.record;
  return may_see(reader, {record.state_before, record.state_after, record.position,
                          event.event->is_state("m.room.history_visibility", ""),
                          event.event->is_state("m.room.member", reader.user.view()),
                          stores::membership_from(event.event->membership())});
}

Result<bool> RoomReader::visible(const ReaderOf& reader, const ShownEvent& event) const {
  return may_see(reader, {event.state_before(), event.state_after(), event.position(),
                          event.is_state("m.room.history_visibility", ""),
                          event.is_state("m.room.member", reader.user.view()), event.membership()});
}

Result<bool> RoomReader::may_see(const ReaderOf& reader, const Seen& event) const {
  // A visibility or membership event counts with what holds before and with what holds after it.
  std::array<stores::StateRoot, 2> roots = {event.state_after, event.state_before};
  const size_t count = event.sets_visibility || event.is_own_membership ? 2 : 1;
  // Not among the specification's rules: who is invited or knocking learns that it is over. Else
  // /sync would name the room among those that were left and show nothing of it.
  if (event.is_own_membership &&
      (event.membership == Membership::kLeave || event.membership == Membership::kBan)) {
    POLDER_TRY(const Membership before, own_membership_at(event.state_before, reader));
    if (before == Membership::kInvite || before == Membership::kKnock) return true;
  }
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
  // 5. Otherwise: deny. Who left sees what was shared while they were a member.
  const bool left = reader.membership.membership == Membership::kLeave ||
                    reader.membership.membership == Membership::kBan;
  if (!left || reader.membership.forgotten || reader.membership.event == 0 ||
      event.position > reader.membership.position)
    return false;
  POLDER_TRY(const auto leaving, view_.record(reader.membership.event));
  POLDER_TRY(const Membership before, own_membership_at(leaving.state_before, reader));
  POLDER_TRY(const std::string_view visibility, visibility_at(event.state_after));
  return before == Membership::kJoin && visibility == "shared";
}

Result<stores::StateRoot> RoomReader::visible_state(const ReaderOf& reader) const {
  if (reader.membership.membership == Membership::kJoin) return head_->record.state;
  POLDER_TRY(const std::string_view visibility, visibility_at(head_->record.state));
  if (visibility == "world_readable") return head_->record.state;
  const bool left = reader.membership.membership == Membership::kLeave ||
                    reader.membership.membership == Membership::kBan;
  if (left && !reader.membership.forgotten && reader.membership.event != 0) {
    POLDER_TRY(const auto leaving, view_.record(reader.membership.event));
    POLDER_TRY(const Membership before, membership_at(leaving.state_before, reader.user.view()));
    if (before == Membership::kJoin) return leaving.state_after;
  }
  return fail(ErrorCode::kForbidden, "You are not a member of this room");
}

kv::Position RoomReader::last_visible(const ReaderOf& reader) const {
  const bool left = reader.membership.membership == Membership::kLeave ||
                    reader.membership.membership == Membership::kBan;
  return left ? reader.membership.position : kv::kLastPosition;
}

Result<ShownEventPtr> RoomReader::make_shown(const HeldEvent& event) const {
  events::EventPtr replaced;
  if (event.event->is_state()) {
    POLDER_TRY(replaced, view_.state_event(event.record.state_before, event.event->type(),
                                           *event.event->state_key()));
  }
  return std::make_shared<const ShownEvent>(event, replaced.get(), head_->rewrites);
}

Result<ShownEventPtr> RoomReader::shown(EventNumber number) const {
  auto& kept = engine_.caches().shown;
  if (ShownEventPtr event = kept.find(head_->number, number);
      event && event->as_of() >= head_->rewrites)
    return event;
  POLDER_TRY(const HeldEvent held, view_.load(number));
  POLDER_TRY(ShownEventPtr event, make_shown(held));
  kept.insert(head_->number, number, event, event->bytes());
  return event;
}

Status RoomReader::append_unsigned(const ReaderOf& reader, EventNumber number,
                                   const ShownEvent& event, const ClientOptions& options,
                                   std::optional<EventNumber> redaction, std::string& out) const {
  POLDER_TRY(const Membership membership, own_membership_at(event.state_after(), reader));
  const int64_t age = engine_.parts().runtime.clock().wall_ms() - event.origin_server_ts();
  out.append("{\"age\":").append(std::to_string(std::max<int64_t>(age, 0)));
  out.append(",\"membership\":\"")
      .append(membership == Membership::kNone ? std::string_view("leave")
                                              : stores::to_string(membership))
      .append("\"");
  if (!options.transaction_id.empty()) {
    out.append(",\"transaction_id\":");
    json::write_string_to(options.transaction_id, out);
  }
  out.append(event.replaced());
  if (redaction) {
    POLDER_TRY(const ShownEventPtr because, shown(*redaction));
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
                 bundled_relations(*this, reader, held, redaction.has_value()));
      if (!relations.empty()) out.append(",\"m.relations\":").append(relations);
    }
  }
  out.append("}");
  return {};
}

Status RoomReader::append_client_event(const ReaderOf& reader, EventNumber number,
                                       const ShownEvent& event, const ClientOptions& options,
                                       std::string& out) const {
  POLDER_TRY(const auto redaction, redactions_.find(number));
  if (redaction) {
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
  POLDER_CHECK(append_unsigned(reader, number, event, options, redaction, out));
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
