#include "homeserver/rooms/write/relation_checks.h"

#include <algorithm>

#include "homeserver/rooms/write/relations.h"
#include "storage/stores/rooms/relation_rows.h"

namespace polder::rooms {
namespace {

// Of the newest ones: whoever hides theirs behind more gets a second one, which readers of
// aggregations count once.
constexpr size_t kRelationsLookedAt = 5000;

std::string_view annotation_key(const events::Event& event) {
  const json::Object* relates_to = event.content().find_object("m.relates_to");
  const std::string* key = relates_to != nullptr ? relates_to->find_string("key") : nullptr;
  return key != nullptr ? std::string_view(*key) : std::string_view();
}

bool same_annotation(const events::Event& one, const events::Event& other, const EventId& parent) {
  const auto relation = relation_of(other);
  return other.sender() == one.sender() && other.type() == one.type() && relation &&
         relation->rel_type == "m.annotation" && relation->parent == parent &&
         annotation_key(one) == annotation_key(other);
}

class Check {
 public:
  Check(const RoomView& view, const RoomContent& room, const events::Event& event,
        RelatesTo relation)
      : view_(view), room_(room), event_(event), relation_(std::move(relation)) {}

  Status run() {
    POLDER_TRY(const auto parent, view_.find(relation_.parent));
    if (!parent) return check_absent();
    if (relation_.rel_type == "m.annotation") return check_annotation();
    if (relation_.rel_type == "m.thread") return check_thread(*parent);
    return {};
  }

 private:
  // What was here and is purged by now is still known by what relates to it.
  Status check_absent() const {
    stores::RelationLookup relations(view_.snapshot(), room_.number);
    POLDER_TRY(const bool known, relations.any(relation_.parent));
    if (known) return {};
    return fail(ErrorCode::kInvalid, "M_UNKNOWN",
                "The event that this one relates to is not in this room");
  }

  Status check_thread(EventNumber number) const {
    POLDER_TRY(const HeldEvent parent, view_.load(number));
    POLDER_TRY(const bool redacted, is_redacted(number, parent.event->id()));
    if (redacted || !relation_of(*parent.event)) return {};
    return fail(ErrorCode::kInvalid, "M_UNKNOWN",
                "A thread cannot begin at an event that is related to another");
  }

  Status check_annotation() const {
    for (const auto& [number, held] : room_.pending) {
      POLDER_CHECK(check_other(number, *held.event));
    }
    POLDER_TRY(const auto sender,
               view_.names().find(stores::NameKind::kUser, event_.sender().view()));
    if (!sender) return {};
    POLDER_TRY(const auto rows,
               stores::read_relations_backwards(view_.snapshot(), room_.number, relation_.parent,
                                                stores::kLastPlace, kRelationsLookedAt));
    for (const stores::Relation& row : rows) {
      if (row.sender != *sender || row.rel_type != "m.annotation" || row.type != event_.type())
        continue;
      POLDER_TRY(const HeldEvent held, view_.load(row.child));
      POLDER_CHECK(check_other(row.child, *held.event));
    }
    return {};
  }

  Status check_other(EventNumber number, const events::Event& other) const {
    if (!same_annotation(event_, other, relation_.parent)) return {};
    POLDER_TRY(const bool redacted, is_redacted(number, other.id()));
    if (redacted) return {};
    return fail(ErrorCode::kInvalid, "M_DUPLICATE_ANNOTATION",
                "You have annotated the event in this way already");
  }

  Result<bool> is_redacted(EventNumber number, const EventId& id) const {
    POLDER_TRY(const auto redaction,
               stores::read_redaction(view_.snapshot(), {room_.number, number}));
    return redaction || std::ranges::any_of(room_.pending, [&](const auto& held) {
             return held.second.event->redacts() == id;
           });
  }

  const RoomView& view_;
  const RoomContent& room_;
  const events::Event& event_;
  const RelatesTo relation_;
};

}  // namespace

Status check_relation(const RoomView& view, const RoomContent& room, const events::Event& event) {
  auto relation = relation_of(event);
  if (!relation) return {};
  return Check(view, room, event, *std::move(relation)).run();
}

}  // namespace polder::rooms
