#include "homeserver/sync/classic/ephemeral.h"

#include <map>

#include "storage/stores/receipt_rows.h"

namespace polder::sync {
namespace {

json::Object& member_object(json::Object& object, std::string_view key) {
  if (object.find_object(key) == nullptr) object.set(std::string(key), json::Object());
  return *object.find(key)->as_object();
}

// https://spec.matrix.org/v1.19/client-server-api/#mreceipt:
// {event id: {receipt type: {user id: {ts, thread_id}}}}. "Receipts SHOULD be batched into one
// event per room and thread": those of several threads on one event could not stand side by side.
Result<std::map<std::string, json::Object>> receipts_by_thread(
    const rooms::RoomReader& reader, const UserId& user,
    const std::vector<stores::ReceiptRow>& rows) {
  std::map<std::string, json::Object> contents;
  for (const stores::ReceiptRow& row : rows) {
    POLDER_TRY(std::string name, reader.view().names().name(stores::NameKind::kUser, row.user));
    if (row.type == "m.read.private" && name != user.view()) continue;
    json::Object receipt{{"ts", row.ts_ms}};
    if (!row.thread.empty()) receipt.set("thread_id", row.thread);
    json::Object& of_event = member_object(contents[row.thread], row.event.view());
    member_object(of_event, row.type).set(std::move(name), std::move(receipt));
  }
  return contents;
}

}  // namespace

bool has_ephemeral(const Services& services, stores::RoomNumber room, const StreamToken& since) {
  return services.receipts.last(room) > since.position ||
         services.typing.typing_since(room, since.typing_changes).has_value();
}

Result<json::Array> ephemeral_events(const Services& services, const rooms::RoomReader& reader,
                                     const UserId& user, const std::optional<StreamToken>& since,
                                     const StreamToken& to) {
  json::Array events;
  const stores::RoomNumber room = reader.head().number;
  std::vector<stores::ReceiptRow> rows;
  if (!since) {
    POLDER_TRY(rows, stores::read_receipts(reader.snapshot(), room));
  } else if (services.receipts.last(room) > since->position) {
    POLDER_TRY(rows,
               stores::read_receipts_since(reader.snapshot(), room, since->position, to.position));
  }
  POLDER_TRY(auto contents, receipts_by_thread(reader, user, rows));
  for (auto& [thread, content] : contents)
    events.emplace_back(json::Object{{"type", "m.receipt"}, {"content", std::move(content)}});
  const auto typing = services.typing.typing_since(room, since ? since->typing_changes : 0);
  if (typing && (since || !typing->empty())) {
    json::Array users;
    for (const UserId& typist : *typing)
      users.emplace_back(typist.str());
    events.emplace_back(json::Object{{"type", "m.typing"},
                                     {"content", json::object({{"user_ids", std::move(users)}})}});
  }
  return events;
}

}  // namespace polder::sync
