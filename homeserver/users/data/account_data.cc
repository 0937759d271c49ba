#include "homeserver/users/data/account_data.h"

#include <charconv>

#include "homeserver/base/json/parse.h"
#include "homeserver/base/json/write.h"
#include "homeserver/users/data/read_order.h"
#include "storage/stores/users/user_rows.h"

namespace polder::users {
namespace {

constexpr size_t kTypeBytesMax = 255;
constexpr uint64_t kFiltersMax = 1000;  // of a user

Error too_much(std::string_view what) {
  return fail(ErrorCode::kTooLarge, std::string("There is too much account data ").append(what));
}

// Writes it in place of what was there before, and what there is then in all, if that may be: what
// grows by nothing always may.
Status put(const kv::Snapshot& snapshot, const AccountDataLimits& limits, stores::UserNumber user,
           stores::RoomNumber room, const std::string& type, const std::string& text,
           kv::Batch& batch) {
  POLDER_TRY(const auto before, stores::read_account_data(snapshot, user, room, type));
  POLDER_TRY(auto sizes, stores::read_account_data_sizes(snapshot, user, room));
  for (stores::AccountDataSize* size : {&sizes.of_room, &sizes.all}) {
    size->types += before ? 0 : 1;
    size->bytes += text.size() + (before ? 0 : type.size());
    size->bytes -= before ? before->content.size() : 0;
  }
  if (!before || before->content.size() < text.size()) {
    if (sizes.of_room.types > limits.room_types || sizes.of_room.bytes > limits.room_bytes)
      return too_much(room == 0 ? "of the account" : "of this room");
    if (sizes.all.types > limits.types || sizes.all.bytes > limits.bytes)
      return too_much("of the account and its rooms");
  }
  stores::put_account_data(batch, user, room, type, text, batch.reserve_position(),
                           before ? before->position : 0);
  stores::put_account_data_sizes(batch, user, room, sizes);
  return {};
}

// The event of a read marker; nothing if it is none.
std::optional<EventId> marked_event(const std::string& content) {
  const auto object = json::parse_object(content);
  const std::string* text = object.ok() ? object->find_string("event_id") : nullptr;
  if (text == nullptr) return std::nullopt;
  auto event = EventId::parse(*text);
  return event.ok() ? std::optional(*std::move(event)) : std::nullopt;
}

// Clients add the same filter again at every start: then nothing is written.
Status put_filter(const kv::Snapshot& snapshot, stores::UserNumber user, const std::string& text,
                  kv::Batch& batch, uint64_t& number) {
  POLDER_TRY(const uint64_t last, stores::last_filter(snapshot, user));
  for (number = last; number > 0 && number + 8 > last; --number) {
    POLDER_TRY(const auto known, stores::read_filter(snapshot, user, number));
    if (known == text) return {};
  }
  if (last >= kFiltersMax) return fail(ErrorCode::kTooLarge, "too many filters");
  number = last + 1;
  stores::put_filter(batch, user, number, text);
  return {};
}

}  // namespace

Task<Status> AccountData::set(stores::UserNumber user, stores::RoomNumber room, std::string type,
                              json::Object content) {
  if (type.empty() || type.size() > kTypeBytesMax)
    co_return fail(ErrorCode::kInvalid, "the type is empty or too long");
  const std::string text = json::write(content);
  if (text.size() > kAccountDataBytesMax)
    co_return fail(ErrorCode::kTooLarge, "the content is too large");
  auto make = [this, user, room, type = std::move(type), text](const kv::Snapshot& snapshot,
                                                               kv::Batch& batch) {
    return put(snapshot, limits_, user, room, type, text, batch);
  };
  co_return co_await turns_.change(user, std::move(make));
}

Task<Status> AccountData::set_fully_read(stores::UserNumber user, stores::RoomNumber room,
                                         EventId event) {
  auto make = [this, user, room, event](const kv::Snapshot& snapshot, kv::Batch& batch) -> Status {
    const std::string type(kFullyReadType);
    POLDER_TRY(const auto before, stores::read_account_data(snapshot, user, room, type));
    const auto marked = before ? marked_event(before->content) : std::nullopt;
    if (marked) {
      POLDER_TRY(const bool moves, goes_on(snapshot, room, *marked, event));
      if (!moves) return {};
    }
    const std::string text = json::write(json::Object{{"event_id", event.str()}});
    return put(snapshot, limits_, user, room, type, text, batch);
  };
  co_return co_await turns_.change(user, std::move(make));
}

Task<Result<std::string>> AccountData::get(stores::UserNumber user, stores::RoomNumber room,
                                           std::string type) {
  AccountData* self = this;
  co_return co_await runtime::on_pool(
      parts_.runtime, [self, user, room, type]() -> Result<std::string> {
        POLDER_TRY(auto row,
                   stores::read_account_data(*self->parts_.database.snapshot(), user, room, type));
        if (!row) return fail(ErrorCode::kNotFound, "Account data not found");
        return std::move(row->content);
      });
}

Task<Result<std::string>> AccountData::add_filter(stores::UserNumber user, json::Object filter) {
  const std::string text = json::write(filter);
  if (text.size() > kAccountDataBytesMax)
    co_return fail(ErrorCode::kTooLarge, "the filter is too large");
  const auto number = std::make_shared<uint64_t>(0);
  auto add = [user, text, number](const kv::Snapshot& snapshot, kv::Batch& batch) {
    return put_filter(snapshot, user, text, batch, *number);
  };
  POLDER_CO_CHECK(co_await turns_.change(user, std::move(add)));
  co_return std::to_string(*number);
}

Task<Result<std::string>> AccountData::filter(stores::UserNumber user, std::string id) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), number);
  if (error != std::errc() || end != id.data() + id.size())
    co_return fail(ErrorCode::kNotFound, "No such filter");
  AccountData* self = this;
  co_return co_await runtime::on_pool(
      parts_.runtime, [self, user, number]() -> Result<std::string> {
        POLDER_TRY(auto text, stores::read_filter(*self->parts_.database.snapshot(), user, number));
        if (!text) return fail(ErrorCode::kNotFound, "No such filter");
        return *std::move(text);
      });
}

}  // namespace polder::users
