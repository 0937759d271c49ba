#include "homeserver/sync/classic/encryption.h"

#include "homeserver/sync/classic/device_lists.h"
#include "storage/stores/key_rows.h"

namespace polder::sync {
namespace {

constexpr size_t kToDeviceMax = 100;  // messages of one response; the rest comes with the next

Result<bool> write_to_device(json::Writer& writer, const kv::Snapshot& snapshot,
                             const SyncRequest& request, kv::Position from, StreamToken& to) {
  to.to_device = to.position;
  POLDER_TRY(const auto messages, stores::read_to_device(snapshot, request.number, request.device,
                                                         from, to.position, kToDeviceMax));
  if (messages.empty()) return false;
  if (messages.size() == kToDeviceMax) to.to_device = messages.back().first;
  writer.key("to_device").begin_object().key("events").begin_array();
  for (const auto& [position, text] : messages)
    writer.raw(text);
  writer.end_array().end_object();
  return true;
}

Status write_key_counts(json::Writer& writer, const kv::Snapshot& snapshot,
                        const SyncRequest& request) {
  POLDER_TRY(auto counts, stores::count_one_time_keys(snapshot, request.number, request.device));
  // Clients take a missing algorithm for "not told".
  counts.try_emplace("signed_curve25519", 0);
  writer.key("device_one_time_keys_count").begin_object();
  for (const auto& [algorithm, count] : counts)
    writer.member(algorithm, count);
  writer.end_object();
  POLDER_TRY(const auto fallbacks,
             stores::read_fallback_keys(snapshot, request.number, request.device));
  writer.key("device_unused_fallback_key_types").begin_array();
  for (const stores::FallbackKeyRow& row : fallbacks) {
    if (!row.used) writer.string(row.key.algorithm());
  }
  writer.end_array();
  return {};
}

}  // namespace

Result<bool> write_encryption(json::Writer& writer, const rooms::RoomEngine& engine,
                              const std::shared_ptr<const kv::Snapshot>& snapshot,
                              const SyncRequest& request, const std::optional<StreamToken>& since,
                              StreamToken& to) {
  POLDER_TRY(bool news,
             write_to_device(writer, *snapshot, request, since ? since->to_device : 0, to));
  if (since) {
    POLDER_TRY(const DeviceLists lists,
               device_list_changes(engine, snapshot, request.number, since->position, to.position));
    if (!lists.changed.empty() || !lists.left.empty()) {
      news = true;
      writer.key("device_lists").begin_object();
      writer.key("changed").value(lists.changed).key("left").value(lists.left).end_object();
    }
  }
  POLDER_CHECK(write_key_counts(writer, *snapshot, request));
  return news;
}

}  // namespace polder::sync
