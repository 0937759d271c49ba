#include "homeserver/sync/classic/to_device_stream.h"

#include "storage/stores/users/key_rows.h"

namespace polder::sync {
namespace {

constexpr size_t kMessagesMax = 100;  // of one response; the rest comes with the next

}  // namespace

Status ToDeviceStream::begin(Reading& reading) {
  const SyncRequest& request = reading.request;
  const kv::Position from = reading.since ? reading.since->to_device : 0;
  if (reading.first && from > 0) {
    POLDER_CHECK(stores::erase_to_device(*reading.snapshot, reading.acknowledged, request.number,
                                         request.device, from));
  }
  reading.next.to_device = reading.next.position;
  POLDER_TRY(messages_, stores::read_to_device(*reading.snapshot, request.number, request.device,
                                               from, reading.next.position, kMessagesMax));
  if (messages_.size() == kMessagesMax) reading.next.to_device = messages_.back().first;
  return {};
}

Result<bool> ToDeviceStream::write(const Reading&, Part part, json::Writer& writer) {
  if (part != Part::kMembers || messages_.empty()) return false;
  writer.key("to_device").begin_object().key("events").begin_array();
  for (const auto& [position, text] : messages_)
    writer.raw(text);
  writer.end_array().end_object();
  return true;
}

}  // namespace polder::sync
