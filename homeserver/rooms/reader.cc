#include "homeserver/rooms/reader.h"

#include "homeserver/dag/power_levels.h"
#include "homeserver/events/client_format.h"
#include "homeserver/events/signing.h"
#include "homeserver/json/write.h"
#include "homeserver/rooms/aggregations.h"
#include "storage/stores/relation_rows.h"
#include "storage/stores/user_rows.h"

namespace polder::rooms {

using stores::Membership;

namespace {

constexpr size_t kMembershipsMax = 100;  // of a user, looked at for the last time they were joined

}  // namespace

RoomReader::RoomReader(const RoomEngine& engine, RoomHeadPtr head)
    : engine_(engine),
      snapshot_(engine.parts().database.snapshot()),
      head_(std::move(head)),
      content_(head_->number, head_->rules),
      view_(content_, *snapshot_, engine_.parts().names, engine_.caches()) {}

Result<ReaderOf> RoomReader::reader(const UserId& user) const {
  ReaderOf reader;
  reader.user = user;
  POLDER_TRY(const auto number, view_.names().find(stores::NameKind::kUser, user.view()));
  if (!number) return reader;
  reader.number = *number;
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

Result<std::string_view> RoomReader::visibility_at(stores::StateRoot root) const {
  POLDER_TRY(const auto event, view_.state_event(root, "m.room.history_visibility", ""));
  const std::string* setting = event ? event->content().find_string("history_visibility") : nullptr;
  // "By default if no history_visibility is set, or if the value is not understood, the visibility
  // is assumed to be shared."
  if (setting == nullptr) return std::string_view("shared");
  for (const std::string_view known : {"world_readable", "joined", "invited"}) {
    if (*setting == known) return known;
  }
  return std::string_view("shared");
}

Result<bool> RoomReader::visible(const ReaderOf& reader, const HeldEvent& event) const {
  if (event.record.standing.rejected || event.record.standing.soft_failed) return false;
  if (event.record.depth < head_->record.history_from) return false;  // purged, or about to be
  // A visibility or membership event counts with what holds before and with what holds after it.
  std::vector<stores::StateRoot> roots = {event.record.state_after};
  const bool own = event.event->is_state("m.room.member", reader.user.view());
  const bool changes_rule = event.event->is_state("m.room.history_visibility", "") || own;
  // Not among the specification's rules: who is invited or knocking learns that it is over. Else
  // /sync would name the room among those that were left and show nothing of it.
  if (own && (event.event->membership() == "leave" || event.event->membership() == "ban")) {
    POLDER_TRY(const Membership before,
               membership_at(event.record.state_before, reader.user.view()));
    if (before == Membership::kInvite || before == Membership::kKnock) return true;
  }
  if (changes_rule) roots.push_back(event.record.state_before);
  for (const stores::StateRoot root : roots) {
    POLDER_TRY(const std::string_view visibility, visibility_at(root));
    // 1. world_readable: allow.
    if (visibility == "world_readable") return true;
    // Who forgot the room is "no longer able to retrieve history".
    // https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidforget
    if (reader.membership.forgotten) continue;
    // 2. The user was joined: allow.
    POLDER_TRY(const Membership membership, membership_at(root, reader.user.view()));
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
  const bool earlier = event.record.standing.backfilled ? event.record.depth < end.depth
                                                        : event.record.position <= end.position;
  if (!earlier) return false;
  POLDER_TRY(const std::string_view visibility, visibility_at(event.record.state_after));
  return visibility == "shared";
}

Result<stores::StateRoot> RoomReader::visible_state(const ReaderOf& reader) const {
  if (reader.membership.membership == Membership::kJoin) return head_->record.state;
  POLDER_TRY(const std::string_view visibility, visibility_at(head_->record.state));
  if (visibility == "world_readable") return head_->record.state;
  if (reader.last_stay && !reader.membership.forgotten) return reader.last_stay->state;
  return fail(ErrorCode::kForbidden, "You are not a member of this room");
}

Result<bool> RoomReader::is_erased(const events::Event& event) const {
  if (event.is_state() && !event.is("m.room.member")) return false;
  if (event.sender().server() != engine_.parts().own_name.view()) return false;
  POLDER_TRY(const auto number, view_.names().find(stores::NameKind::kUser, event.sender().view()));
  if (!number) return false;
  POLDER_TRY(const auto account, stores::read_account(*snapshot_, *number));
  return account && account->erased;
}

Result<RoomReader::Shown> RoomReader::shown(const ReaderOf& reader, EventNumber number,
                                            const HeldEvent& event,
                                            const ClientOptions& options) const {
  Shown shown;
  POLDER_TRY(shown.redaction, stores::read_redaction(*snapshot_, {head_->number, number}));
  POLDER_TRY(shown.membership, membership_at(event.record.state_after, reader.user.view()));
  shown.redacted = options.redacted || shown.redaction;
  if (shown.membership != Membership::kJoin && !shown.redacted) {
    POLDER_TRY(shown.redacted, is_erased(*event.event));
  }
  return shown;
}

Status RoomReader::write_replaced(json::Writer& writer, const HeldEvent& event,
                                  const Shown& shown) const {
  POLDER_TRY(const auto replaced, view_.state_event(event.record.state_before, event.event->type(),
                                                    *event.event->state_key()));
  if (!replaced) return {};
  POLDER_TRY(const bool erased,
             shown.membership != Membership::kJoin ? is_erased(*replaced) : Result<bool>(false));
  if (!erased) writer.key("prev_content").value(replaced->content());
  writer.member("prev_sender", replaced->sender().view());
  writer.member("replaces_state", replaced->id().view());
  return {};
}

Result<std::string> RoomReader::unsigned_of(const ReaderOf& reader, const HeldEvent& event,
                                            const ClientOptions& options,
                                            const Shown& shown) const {
  std::string out;
  json::Writer writer(out);
  const int64_t age = engine_.parts().runtime.clock().wall_ms() - event.event->origin_server_ts();
  writer.begin_object().member("age", std::max<int64_t>(age, 0));
  const bool none = shown.membership == Membership::kNone;
  writer.member("membership",
                none ? std::string_view("leave") : stores::to_string(shown.membership));
  if (!options.transaction_id.empty()) writer.member("transaction_id", options.transaction_id);
  if (event.event->is_state()) POLDER_CHECK(write_replaced(writer, event, shown));
  if (shown.redaction) {
    POLDER_TRY(const HeldEvent because, view_.load(*shown.redaction));
    std::string text = events::client_head(*because.event, false);
    text += ",\"room_id\":";
    json::write_string_to(head_->record.id.view(), text);
    writer.member("redacted_by", because.event->id().view())
        .key("redacted_because")
        .raw(text + "}");
  }
  if (options.bundle && !event.event->is_state()) {
    POLDER_TRY(const std::string relations,
               bundled_relations(*this, reader, event, shown.redacted));
    if (!relations.empty()) writer.key("m.relations").raw(relations);
  }
  writer.end_object();
  return out;
}

Result<std::string> RoomReader::client_event(const ReaderOf& reader, EventNumber number,
                                             const HeldEvent& event,
                                             const ClientOptions& options) const {
  POLDER_TRY(const Shown how, shown(reader, number, event, options));
  std::string text = events::client_head(*event.event, how.redacted);
  if (options.with_room_id) {
    text += ",\"room_id\":";
    json::write_string_to(head_->record.id.view(), text);
  }
  POLDER_TRY(const std::string tail, unsigned_of(reader, event, options, how));
  text.append(",\"unsigned\":").append(tail).append("}");
  return text;
}

}  // namespace polder::rooms
