#include "homeserver/sync/classic/typing_stream.h"

namespace polder::sync {
namespace {

constexpr std::string_view kType = "m.typing";

}  // namespace

Status TypingStream::begin(Reading& reading) {
  reading.next.typing_changes = reading.services.typing.changes();
  known_ = reading.since ? reading.since->typing_changes : 0;
  // A token of an earlier run of the program counts from another zero.
  if (known_ > reading.next.typing_changes) known_ = 0;
  return {};
}

bool TypingStream::has_news(const Reading& reading, stores::RoomNumber room) const {
  return reading.services.typing.typing_since(room, known_).has_value();
}

Result<bool> TypingStream::write_room(const Reading& reading, const RoomReading& room, Part part,
                                      json::Writer& writer) {
  if (part != Part::kEphemeral) return false;
  const rooms::RoomHead& head = room.reader.head();
  const EventFilter& filter = reading.request.filter->ephemeral;
  if (!filter.allows_type(kType) || !filter.allows_room(head.record.id.view())) return false;
  const auto typing = reading.services.typing.typing_since(head.number, room.known ? known_ : 0);
  if (!typing || (!room.known && typing->empty())) return false;
  writer.begin_object().member("type", kType).key("content").begin_object();
  writer.key("user_ids").begin_array();
  for (const UserId& user : *typing)
    writer.string(user.view());
  writer.end_array().end_object().end_object();
  return true;
}

}  // namespace polder::sync
