#include "homeserver/sync/classic/receipt_stream.h"

#include <map>

#include "storage/stores/rooms/receipt_rows.h"

namespace polder::sync {
namespace {

constexpr std::string_view kType = "m.receipt";
// Of others, in one room of one response. What rooms have is bounded by user; a large room has more
// than any client shows.
constexpr size_t kReceiptsToldMax = 1000;

json::Object& member_object(json::Object& object, std::string_view key) {
  if (object.find_object(key) == nullptr) object.set(std::string(key), json::Object());
  return *object.find(key)->as_object();
}

// https://spec.matrix.org/v1.19/client-server-api/#mreceipt:
// {event id: {receipt type: {user id: {ts, thread_id}}}}. "Receipts SHOULD be batched into one
// event per room and thread": those of several threads on one event could not stand side by side.
Result<std::map<std::string, json::Object>> receipts_by_thread(
    const rooms::RoomReader& reader, const SyncRequest& request,
    const std::vector<stores::ReceiptRow>& rows) {
  std::map<std::string, json::Object> contents;
  for (const stores::ReceiptRow& row : rows) {
    if (row.type == "m.read.private" && row.user != request.number) continue;
    POLDER_TRY(std::string name, reader.view().names().name(stores::NameKind::kUser, row.user));
    json::Object receipt{{"ts", row.ts_ms}};
    if (!row.thread.empty()) receipt.set("thread_id", row.thread);
    json::Object& of_event = member_object(contents[row.thread], row.event.view());
    member_object(of_event, row.type).set(std::move(name), std::move(receipt));
  }
  return contents;
}

// The newest ones, and all of the reader's own: those say to their other devices what is unread.
Result<std::vector<stores::ReceiptRow>> receipts_between(const rooms::RoomReader& reader,
                                                         stores::UserNumber user, kv::Position from,
                                                         kv::Position to) {
  const stores::RoomNumber room = reader.head().number;
  POLDER_TRY(auto rows,
             stores::read_receipts_between(reader.snapshot(), room, from, to, kReceiptsToldMax));
  if (rows.size() < kReceiptsToldMax) return rows;
  const kv::Position oldest = rows.back().position;
  POLDER_TRY(auto own, stores::read_receipts_of(reader.snapshot(), room, user));
  for (stores::ReceiptRow& row : own) {
    if (row.position > from && row.position < oldest) rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace

bool ReceiptStream::has_news(const Reading& reading, stores::RoomNumber room) const {
  return reading.services.receipts.last(room) > reading.from();
}

Result<bool> ReceiptStream::write_room(const Reading& reading, const RoomReading& room, Part part,
                                       json::Writer& writer) {
  const SyncRequest& request = reading.request;
  const rooms::RoomHead& head = room.reader.head();
  if (part != Part::kEphemeral || (room.known && !has_news(reading, head.number))) return false;
  const EventFilter& filter = request.filter->ephemeral;
  if (!filter.allows_type(kType) || !filter.allows_room(head.record.id.view())) return false;
  POLDER_TRY(const auto rows,
             receipts_between(room.reader, request.number, room.known ? reading.from() : 0,
                              reading.next.position));
  POLDER_TRY(const auto contents, receipts_by_thread(room.reader, request, rows));
  for (const auto& [thread, content] : contents)
    writer.begin_object().member("type", kType).key("content").value(content).end_object();
  return !contents.empty();
}

}  // namespace polder::sync
