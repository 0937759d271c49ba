#include "homeserver/rooms/model/event_thread.h"

#include <optional>

#include "storage/stores/rooms/push_rows.h"
#include "storage/stores/rooms/relation_rows.h"

namespace polder::rooms {
namespace {

constexpr int kHopsMax = 3;

struct RelatesTo {
  std::string_view rel_type;
  std::optional<EventId> parent;
};

RelatesTo relation_of(const events::Event& event) {
  RelatesTo relation;
  const json::Object* relates_to = event.content().find_object("m.relates_to");
  const std::string* rel_type =
      relates_to == nullptr ? nullptr : relates_to->find_string("rel_type");
  const std::string* id = relates_to == nullptr ? nullptr : relates_to->find_string("event_id");
  if (rel_type == nullptr || id == nullptr || event.is_state()) return relation;
  auto parsed = EventId::parse(*id);
  if (!parsed.ok()) return relation;
  relation.rel_type = *rel_type;
  relation.parent = *std::move(parsed);
  return relation;
}

}  // namespace

Result<std::string> thread_of(const events::Event& event, const RoomView& view) {
  RelatesTo relation = relation_of(event);
  events::EventPtr held;  // what the relation points into
  // "It is not recommended that the server traverse infinitely. Instead, implementations are
  // encouraged to do a maximum of 3 hops."
  for (int hop = 0; hop < kHopsMax && relation.parent; ++hop) {
    if (relation.rel_type == "m.thread") return relation.parent->str();
    POLDER_TRY(const auto parent, view.find(*relation.parent));
    if (!parent) break;
    POLDER_TRY(const HeldEvent loaded, view.load(*parent));
    held = loaded.event;
    relation = relation_of(*held);
  }
  if (relation.parent && relation.rel_type == "m.thread") return relation.parent->str();
  return std::string(kMainThread);
}

Result<bool> may_be_read_in(const events::Event& event, std::string_view thread, RoomNumber room,
                            const RoomView& view) {
  POLDER_TRY(const std::string own, thread_of(event, view));
  if (own == thread) return true;
  const auto root = EventId::parse(thread);
  if (own != kMainThread || !root.ok()) return false;
  EventId id = event.id();
  std::optional<EventId> parent = relation_of(event).parent;
  for (int hop = 0; hop < kHopsMax && id != *root && parent; ++hop) {
    id = *parent;
    POLDER_TRY(const auto number, view.find(id));
    if (!number) break;
    POLDER_TRY(const HeldEvent held, view.load(*number));
    parent = relation_of(*held.event).parent;
  }
  if (id != *root) return false;
  POLDER_TRY(const auto begun, stores::read_thread(view.snapshot(), room, *root));
  return begun.has_value();
}

}  // namespace polder::rooms
