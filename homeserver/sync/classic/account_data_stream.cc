#include "homeserver/sync/classic/account_data_stream.h"

#include <algorithm>

namespace polder::sync {
namespace {

bool write_rows(json::Writer& writer, const EventFilter& filter,
                const std::vector<stores::AccountDataRow>& rows) {
  bool any = false;
  for (const stores::AccountDataRow& row : rows) {
    if (!filter.allows_type(row.type)) continue;
    writer.begin_object().member("type", std::string_view(row.type));
    writer.key("content").raw(row.content).end_object();
    any = true;
  }
  return any;
}

}  // namespace

Status AccountDataStream::begin(Reading& reading) {
  if (!reading.since) return {};
  POLDER_TRY(const auto changes,
             stores::read_account_data_changes(*reading.snapshot, reading.request.number,
                                               reading.from(), reading.next.position));
  for (const auto& [room, type] : changes)
    changed_[room].push_back(type);
  return {};
}

bool AccountDataStream::changed(stores::RoomNumber room, std::string_view type) const {
  const auto types = changed_.find(room);
  return types != changed_.end() && std::ranges::find(types->second, type) != types->second.end();
}

Result<std::vector<stores::AccountDataRow>> AccountDataStream::rows_of(const Reading& reading,
                                                                       stores::RoomNumber room,
                                                                       bool all) const {
  const stores::UserNumber user = reading.request.number;
  if (all) return stores::read_all_account_data(*reading.snapshot, user, room);
  std::vector<stores::AccountDataRow> rows;
  const auto changed = changed_.find(room);
  if (changed == changed_.end()) return rows;
  for (const std::string& type : changed->second) {
    POLDER_TRY(auto row, stores::read_account_data(*reading.snapshot, user, room, type));
    if (row) rows.push_back(*std::move(row));
  }
  return rows;
}

Result<bool> AccountDataStream::write(const Reading& reading, Part part, json::Writer& writer) {
  if (part != Part::kAccountData) return false;
  POLDER_TRY(const auto rows, rows_of(reading, 0, !reading.since));
  return write_rows(writer, reading.request.filter->account_data, rows);
}

bool AccountDataStream::has_news(const Reading&, stores::RoomNumber room) const {
  return changed_.contains(room);
}

Result<bool> AccountDataStream::write_room(const Reading& reading, const RoomReading& room,
                                           Part part, json::Writer& writer) {
  if (part != Part::kRoomAccountData) return false;
  const rooms::RoomHead& head = room.reader.head();
  const EventFilter& filter = reading.request.filter->room_account_data;
  if (!filter.allows_room(head.record.id.view())) return false;
  POLDER_TRY(const auto rows, rows_of(reading, head.number, !room.known));
  return write_rows(writer, filter, rows);
}

}  // namespace polder::sync
