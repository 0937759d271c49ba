#include "homeserver/sync/classic/streams.h"

#include <algorithm>

namespace polder::sync {

Status Streams::begin(Reading& reading) {
  for (Stream* stream : all_)
    POLDER_CHECK(stream->begin(reading));
  return {};
}

Result<bool> Streams::write(const Reading& reading, Part part, json::Writer& writer) {
  bool news = false;
  for (Stream* stream : all_) {
    POLDER_TRY(const bool some, stream->write(reading, part, writer));
    news = news || some;
  }
  return news;
}

bool Streams::have_news(const Reading& reading, stores::RoomNumber room) const {
  return std::ranges::any_of(all_,
                             [&](const Stream* stream) { return stream->has_news(reading, room); });
}

Result<bool> Streams::write_room(const Reading& reading, const RoomReading& room, Part part,
                                 json::Writer& writer) {
  bool news = false;
  for (Stream* stream : all_) {
    POLDER_TRY(const bool some, stream->write_room(reading, room, part, writer));
    news = news || some;
  }
  return news;
}

}  // namespace polder::sync
