#include "homeserver/rooms/model/event_thread.h"

#include "storage/stores/rooms/relation_rows.h"

namespace polder::rooms {
namespace {

constexpr int kHopsMax = 3;

}  // namespace

std::optional<RelatesTo> relation_of(const events::Event& event) {
  const json::Object* relates_to = event.content().find_object("m.relates_to");
  if (relates_to == nullptr || event.is_state()) return std::nullopt;
  const std::string* rel_type = relates_to->find_string("rel_type");
  const std::string* parent = relates_to->find_string("event_id");
  if (rel_type == nullptr || parent == nullptr) return std::nullopt;
  auto parsed = EventId::parse(*parent);
  if (!parsed.ok()) return std::nullopt;
  return RelatesTo{*std::move(parsed), *rel_type};
}

Result<std::string> thread_of(const events::Event& event, const RoomView& view) {
  auto relation = relation_of(event);
  // "It is not recommended that the server traverse infinitely. Instead, implementations are
  // encouraged to do a maximum of 3 hops."
  for (int hop = 0; hop < kHopsMax && relation && relation->rel_type != "m.thread"; ++hop) {
    POLDER_TRY(const auto parent, view.find(relation->parent));
    if (!parent) break;
    POLDER_TRY(const HeldEvent held, view.load(*parent));
    relation = relation_of(*held.event);
  }
  if (relation && relation->rel_type == "m.thread") return relation->parent.str();
  return std::string(kMainThread);
}

Result<bool> may_be_read_in(const events::Event& event, std::string_view thread, RoomNumber room,
                            const RoomView& view) {
  POLDER_TRY(const std::string own, thread_of(event, view));
  if (own == thread) return true;
  const auto root = EventId::parse(thread);
  if (own != kMainThread || !root.ok()) return false;
  EventId id = event.id();
  auto relation = relation_of(event);
  for (int hop = 0; hop < kHopsMax && id != *root && relation; ++hop) {
    id = relation->parent;
    POLDER_TRY(const auto number, view.find(id));
    if (!number) break;
    POLDER_TRY(const HeldEvent held, view.load(*number));
    relation = relation_of(*held.event);
  }
  if (id != *root) return false;
  POLDER_TRY(const auto begun, stores::read_thread(view.snapshot(), room, *root));
  return begun.has_value();
}

}  // namespace polder::rooms
