#include "homeserver/users/account_data.h"

#include <charconv>

#include "homeserver/base/json/write.h"

namespace polder::users {
namespace {

constexpr size_t kTypeBytesMax = 255;
constexpr uint64_t kFiltersMax = 1000;  // of a user

}  // namespace

Task<Result<kv::Position>> AccountData::set(stores::UserNumber user, stores::RoomNumber room,
                                            std::string type, json::Object content) {
  if (type.empty() || type.size() > kTypeBytesMax)
    co_return fail(ErrorCode::kInvalid, "the type is empty or too long");
  const std::string text = json::write(content);
  if (text.size() > kAccountDataBytesMax)
    co_return fail(ErrorCode::kTooLarge, "the content is too large");
  auto make = [this, user, room, type = std::move(type), text] {
    return set_in_turn(user, room, type, text);
  };
  co_return co_await queues_.in_turn(user, std::move(make));
}

Task<Result<kv::Position>> AccountData::set_in_turn(stores::UserNumber user,
                                                    stores::RoomNumber room, std::string type,
                                                    std::string text) {
  AccountData* self = this;
  POLDER_CO_TRY(const auto before, co_await runtime::on_pool(parts_.runtime, [=] {
                  return stores::read_account_data(*self->parts_.database.snapshot(), user, room,
                                                   type);
                }));
  kv::Batch batch;
  const kv::PositionSlot slot = batch.reserve_position();
  stores::put_account_data(batch, user, room, type, text, slot, before ? before->position : 0);
  POLDER_CO_TRY(const kv::Committed committed, co_await parts_.committer.commit(std::move(batch)));
  co_return committed.at(slot);
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
  auto add = [this, user, text] { return add_filter_in_turn(user, text); };
  co_return co_await queues_.in_turn(user, std::move(add));
}

Task<Result<std::string>> AccountData::add_filter_in_turn(stores::UserNumber user,
                                                          std::string text) {
  AccountData* self = this;
  POLDER_CO_TRY(const uint64_t last, co_await runtime::on_pool(parts_.runtime, [self, user] {
                  return stores::last_filter(*self->parts_.database.snapshot(), user);
                }));
  // Clients add the same filter again at every start.
  for (uint64_t number = last; number > 0 && number + 8 > last; --number) {
    POLDER_CO_TRY(const auto known, co_await runtime::on_pool(parts_.runtime, [self, user, number] {
                    return stores::read_filter(*self->parts_.database.snapshot(), user, number);
                  }));
    if (known == text) co_return std::to_string(number);
  }
  if (last >= kFiltersMax) co_return fail(ErrorCode::kTooLarge, "too many filters");
  kv::Batch batch;
  stores::put_filter(batch, user, last + 1, text);
  POLDER_CO_CHECK(co_await parts_.committer.commit(std::move(batch)));
  co_return std::to_string(last + 1);
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
