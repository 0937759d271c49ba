// Account data, of the user and of rooms.
// https://spec.matrix.org/v1.19/client-server-api/#client-config
#pragma once

#include <string>
#include <unordered_map>

#include "homeserver/sync/classic/stream.h"

namespace polder::sync {

class AccountDataStream final : public Stream {
 public:
  Status begin(Reading& reading) override;
  Result<bool> write(const Reading& reading, Part part, json::Writer& writer) override;
  bool has_news(const Reading& reading, stores::RoomNumber room) const override;
  Result<bool> write_room(const Reading& reading, const RoomReading& room, Part part,
                          json::Writer& writer) override;

  // Whether data of the type changed since the token, in the room or (0) in none.
  bool changed(stores::RoomNumber room, std::string_view type) const;

 private:
  Result<std::vector<stores::AccountDataRow>> rows_of(const Reading& reading,
                                                      stores::RoomNumber room, bool all) const;

  std::unordered_map<stores::RoomNumber, std::vector<std::string>> changed_;  // types, by room
};

}  // namespace polder::sync
