#include "federation/server/edus.h"

#include "federation/server/open_room.h"
#include "homeserver/base/json/reader.h"
#include "homeserver/rooms/model/event_thread.h"
#include "storage/stores/federation/federation_rows.h"

namespace polder::federation_server {
namespace {

constexpr Millis kTypingFor{30'000};         // unless the origin says otherwise
constexpr size_t kReceiptsMax = 1000;        // of one EDU
constexpr size_t kMessageIdMax = 255;        // bytes; "maximum length 32 codepoints"
constexpr size_t kTypeMax = 255;             // bytes of a message's type
constexpr uint32_t kMessagesKnownDays = 30;  // for how long a message that comes again is known
constexpr int64_t kDayMs = 24 * 3600 * 1000LL;

Error bad(std::string_view why) {
  return fail(ErrorCode::kInvalid, std::string(why));
}

// A user of the origin.
Result<UserId> read_user(const json::Object& content, std::string_view key,
                         const ServerName& origin) {
  const std::string* text = content.find_string(key);
  if (text == nullptr) return bad(std::string(key) + " is missing");
  POLDER_TRY(UserId user, UserId::parse(*text));
  if (user.server() != origin.view())
    return fail(ErrorCode::kForbidden, "not a user of the origin");
  return user;
}

struct Member {
  stores::RoomNumber room = 0;
  stores::UserNumber user = 0;
};
// A user who is joined to a room in which the origin may take part.
Result<Member> find_member(Api& api, const ServerName& origin, const RoomId& room,
                           const UserId& user) {
  POLDER_TRY(const auto opened, open_own_room(api, room, origin));
  POLDER_TRY(const auto of, opened->reader.reader(user));
  if (of.membership.membership != stores::Membership::kJoin)
    return fail(ErrorCode::kForbidden, "the user is not in the room");
  return Member{opened->head().number, of.number};
}

// https://spec.matrix.org/v1.19/server-server-api/#typing-notifications: "Receiving servers should
// verify that the user is in the room, and is a user belonging to the sending server."
Task<Status> receive_typing(Api& api, ServerName origin, json::Object content) {
  POLDER_CO_TRY(const UserId user, read_user(content, "user_id", origin));
  const std::string* room_text = content.find_string("room_id");
  const auto typing = content.find_bool("typing");
  if (room_text == nullptr || !typing) co_return bad("room_id or typing is missing");
  POLDER_CO_TRY(const RoomId room, RoomId::parse(*room_text));
  POLDER_CO_TRY(const Member member,
                co_await runtime::on_pool(api.runtime(), [&api, origin, room, user] {
                  return find_member(api, origin, room, user);
                }));
  if (*typing) {
    api.parts.typing.set(member.room, user, kTypingFor);
  } else {
    api.parts.typing.clear(member.room, user);
  }
  co_return Status();
}

struct Receipt {
  Member member;
  std::string thread;
  EventId event;
  int64_t ts_ms = 0;
};

Result<Receipt> read_receipt(Api& api, const ServerName& origin, const std::string& room_text,
                             const std::string& user_text, const json::Value& value) {
  POLDER_TRY(const RoomId room, RoomId::parse(room_text));
  POLDER_TRY(const UserId user, UserId::parse(user_text));
  if (user.server() != origin.view())
    return fail(ErrorCode::kForbidden, "not a user of the origin");
  const json::Object* object = value.as_object();
  const json::Array* events = object != nullptr ? object->find_array("event_ids") : nullptr;
  const json::Object* data = object != nullptr ? object->find_object("data") : nullptr;
  if (events == nullptr || events->size() != 1 || (*events)[0].as_string() == nullptr ||
      data == nullptr || !data->find_int("ts")) {
    return bad("a receipt needs one of event_ids, and data with ts");
  }
  Receipt receipt;
  receipt.ts_ms = *data->find_int("ts");
  POLDER_TRY(receipt.thread, json::Reader(*data).string_or(
                                 "thread_id", "", {.bytes_max = users::kThreadIdBytesMax}));
  const bool thread_is_known_form = receipt.thread.empty() ||
                                    receipt.thread == rooms::kMainThread ||
                                    EventId::parse(receipt.thread).ok();
  if (!thread_is_known_form) return bad("a thread_id is no event id");
  POLDER_TRY(receipt.event, EventId::parse(*(*events)[0].as_string()));
  POLDER_TRY(receipt.member, find_member(api, origin, room, user));
  // A receipt points at an event of its room (CVE-2023-42453), which may be yet to come.
  POLDER_TRY(const auto place, stores::find_event(*api.parts.database.snapshot(), receipt.event));
  if (place && place->room != receipt.member.room) return bad("the event is of another room");
  return receipt;
}

void log_dropped(const Api& api, const ServerName& origin, std::string_view type,
                 const Error& error) {
  api.runtime().log().info("edu_dropped",
                           {{"origin", origin}, {"type", type}, {"reason", error.message}});
}

// Those that are right: {room: {"m.read": {user: {event_ids, data}}}}. Other types are private to
// their server.
std::vector<Receipt> read_receipts(Api& api, const ServerName& origin,
                                   const json::Object& content) {
  std::vector<Receipt> receipts;
  std::optional<Error> failure;
  for (const auto& [room, types] : content) {
    const json::Object* by_type = types.as_object();
    const json::Object* by_user = by_type != nullptr ? by_type->find_object("m.read") : nullptr;
    if (by_user == nullptr) continue;
    for (const auto& [user, value] : *by_user) {
      if (receipts.size() == kReceiptsMax) break;
      auto receipt = read_receipt(api, origin, room, user, value);
      if (receipt.ok()) {
        receipts.push_back(*std::move(receipt));
      } else {
        failure = std::move(receipt).error();
      }
    }
  }
  if (failure) log_dropped(api, origin, "m.receipt", *failure);
  return receipts;
}

// https://spec.matrix.org/v1.19/server-server-api/#receipts
Task<Status> receive_receipts(Api& api, ServerName origin, json::Object content) {
  auto shared = std::make_shared<const json::Object>(std::move(content));
  const auto receipts = co_await runtime::on_pool(
      api.runtime(), [&api, origin, shared] { return read_receipts(api, origin, *shared); });
  for (const Receipt& receipt : receipts) {
    POLDER_CO_CHECK(
        co_await api.parts.receipts.set(receipt.member.user, receipt.member.room,
                                        {"m.read", receipt.thread, receipt.event, receipt.ts_ms}));
  }
  co_return Status();
}

// The messages to users of this server; others are not for it to pass on.
json::Object local_messages(const Api& api, const json::Object& messages) {
  json::Object local;
  for (const auto& [name, devices] : messages) {
    const auto user = UserId::parse(name);
    if (user.ok() && user->server() == api.own_name().view()) local.set(name, devices);
  }
  return local;
}

// https://spec.matrix.org/v1.19/server-server-api/#send-to-device-messaging
Task<Status> receive_to_device(Api& api, ServerName origin, json::Object content) {
  POLDER_CO_TRY(const UserId sender, read_user(content, "sender", origin));
  const std::string* type = content.find_string("type");
  const std::string* id_text = content.find_string("message_id");
  const json::Object* messages = content.find_object("messages");
  if (type == nullptr || id_text == nullptr || messages == nullptr)
    co_return bad("type, message_id or messages is missing");
  if (type->size() > kTypeMax || id_text->size() > kMessageIdMax)
    co_return bad("type or message_id is too long");
  const std::string id = *id_text;
  const auto today = static_cast<uint32_t>(api.runtime().clock().wall_ms() / kDayMs);
  const uint32_t oldest = today - std::min(today, kMessagesKnownDays);
  POLDER_CO_TRY(const stores::KnownMessage known,
                co_await runtime::on_pool(api.runtime(), [&api, origin, oldest, today, id] {
                  return stores::find_known_message(*api.parts.database.snapshot(), origin, oldest,
                                                    today, id);
                }));
  if (known.known) co_return Status();
  // In one batch with the messages: neither is there without the other.
  const bool outdated = known.outdated;
  auto remember = [origin, outdated, oldest, today, id](kv::Batch& batch) {
    stores::put_known_message(batch, origin, today, id);
    if (outdated) stores::erase_known_messages(batch, origin, oldest);
  };
  POLDER_CO_CHECK(co_await api.parts.device_messages.send(
      sender, *type, local_messages(api, *messages), std::move(remember)));
  co_return Status();
}

Task<Status> receive_edu(Api& api, ServerName origin, wire::Edu edu) {
  if (edu.type == "m.typing")
    co_return co_await receive_typing(api, origin, std::move(edu.content));
  if (edu.type == "m.receipt")
    co_return co_await receive_receipts(api, origin, std::move(edu.content));
  if (edu.type == "m.direct_to_device")
    co_return co_await receive_to_device(api, origin, std::move(edu.content));
  if (edu.type == "m.device_list_update") {
    POLDER_CO_CHECK(read_user(edu.content, "user_id", origin));
    co_await api.parts.device_lists.device_list_update(origin, std::move(edu.content));
  } else if (edu.type == "m.signing_key_update") {
    POLDER_CO_CHECK(read_user(edu.content, "user_id", origin));
    co_await api.parts.device_lists.signing_key_update(origin, std::move(edu.content));
  }
  co_return Status();
}

// Failures of this server, not of what was sent.
bool ends_transaction(const Error& error) {
  return error.code == ErrorCode::kReadOnly || error.code == ErrorCode::kRateLimited ||
         error.code == ErrorCode::kIo;
}

}  // namespace

Task<Status> receive_edus(Api& api, ServerName origin, std::vector<wire::Edu> edus) {
  for (wire::Edu& edu : edus) {
    const std::string type = edu.type;
    const Status received = co_await receive_edu(api, origin, std::move(edu));
    if (received.ok()) continue;
    if (ends_transaction(received.error())) co_return received.error();
    log_dropped(api, origin, type, received.error());
  }
  co_return Status();
}

}  // namespace polder::federation_server
