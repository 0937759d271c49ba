#include "homeserver/sync/classic/key_count_stream.h"

#include "storage/stores/users/key_rows.h"

namespace polder::sync {

Result<bool> KeyCountStream::write(const Reading& reading, Part part, json::Writer& writer) {
  if (part != Part::kMembers) return false;
  const SyncRequest& request = reading.request;
  POLDER_TRY(auto counts,
             stores::count_one_time_keys(*reading.snapshot, request.number, request.device));
  // Clients take a missing algorithm for "not told".
  counts.try_emplace("signed_curve25519", 0);
  writer.key("device_one_time_keys_count").begin_object();
  for (const auto& [algorithm, count] : counts)
    writer.member(algorithm, count);
  writer.end_object();
  POLDER_TRY(const auto fallbacks,
             stores::read_fallback_keys(*reading.snapshot, request.number, request.device));
  writer.key("device_unused_fallback_key_types").begin_array();
  for (const stores::FallbackKeyRow& row : fallbacks) {
    if (!row.used) writer.string(row.key.algorithm());
  }
  writer.end_array();
  return false;
}

}  // namespace polder::sync
