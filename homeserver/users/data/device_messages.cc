#include "homeserver/users/data/device_messages.h"

#include "homeserver/base/json/write.h"
#include "storage/stores/users/key_rows.h"

namespace polder::users {
namespace {

// The path of the request, without the transaction id.
std::string path_of(const ToDevice& message) {
  return "sendToDevice|" + message.type;
}

}  // namespace

Result<std::vector<stores::UserNumber>> DeviceMessages::add_messages(const kv::Snapshot& snapshot,
                                                                     const UserId& sender,
                                                                     const std::string& type,
                                                                     const json::Object& messages,
                                                                     kv::Batch& batch) const {
  std::vector<stores::UserNumber> news;
  size_t count = 0;
  for (const auto& [user, by_device] : messages) {
    if (by_device.as_object() == nullptr)
      return fail(ErrorCode::kInvalid, "messages must be by user and device");
    POLDER_TRY(const auto number, parts_.names.find(stores::NameKind::kUser, user));
    if (!number) continue;
    POLDER_TRY(const auto devices, stores::read_devices(snapshot, *number));
    for (const auto& [target, content] : *by_device.as_object()) {
      if (content.as_object() == nullptr)
        return fail(ErrorCode::kInvalid, "a message's content must be an object");
      const std::string text =
          json::write(json::Object{{"content", content}, {"sender", sender.str()}, {"type", type}});
      if (text.size() > kToDeviceBytesMax)
        return fail(ErrorCode::kTooLarge, "a message is too large");
      for (const auto& [device, row] : devices) {
        if (target != "*" && target != device.view()) continue;
        stores::put_to_device(batch, *number, device, batch.reserve_position(), text);
        if (++count > kToDeviceMessagesMax)
          return fail(ErrorCode::kTooLarge, "too many messages at once");
        if (news.empty() || news.back() != *number) news.push_back(*number);
      }
    }
  }
  return news;
}

Task<Result<std::vector<stores::UserNumber>>> DeviceMessages::send(
    UserId sender, std::string type, json::Object messages, std::function<void(kv::Batch&)> with) {
  DeviceMessages* self = this;
  auto shared = std::make_shared<const json::Object>(std::move(messages));
  auto batch = std::make_shared<kv::Batch>();
  auto add = [self, sender, type, shared, batch] {
    return self->add_messages(*self->parts_.database.snapshot(), sender, type, *shared, *batch);
  };
  POLDER_CO_TRY(auto news,
                co_await runtime::on_pool(parts_.runtime, runtime::Lane::kShort, std::move(add)));
  if (with) with(*batch);
  if (!batch->empty()) POLDER_CO_CHECK(co_await parts_.committer.commit(std::move(*batch)));
  co_return std::move(news);
}

Task<Result<std::optional<std::vector<stores::UserNumber>>>> DeviceMessages::send_once(
    Session session, ToDevice message) {
  using News = std::optional<std::vector<stores::UserNumber>>;
  DeviceMessages* self = this;
  auto shared = std::make_shared<const ToDevice>(std::move(message));
  auto news = std::make_shared<News>();
  POLDER_CO_CHECK(co_await turns_.change(
      session.number,
      [self, session, shared, news](const kv::Snapshot& snapshot, kv::Batch& batch) -> Status {
        const std::string path = path_of(*shared);
        POLDER_TRY(const auto sent,
                   stores::read_transaction(snapshot, session.number, session.device, path,
                                            shared->transaction_id));
        if (sent) return {};
        POLDER_TRY(*news, self->add_messages(snapshot, session.user, shared->type, shared->messages,
                                             batch));
        batch.append(shared->with);
        stores::put_transaction(batch, session.number, session.device, path, shared->transaction_id,
                                "");
        return {};
      }));
  co_return std::move(*news);
}

}  // namespace polder::users
