// Rows of end-to-end encryption: device keys, one-time and fallback keys, cross-signing keys, the
// log of changed device lists, and messages to devices. Keys are kept as JSON.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "homeserver/base/values/ids.h"
#include "storage/kv/kv.h"
#include "storage/stores/base/names.h"

namespace polder::stores {

void put_device_keys(kv::Batch& batch, UserNumber user, const DeviceId& device,
                     std::string_view json);
Result<std::vector<std::pair<DeviceId, std::string>>> read_device_keys(const kv::Snapshot& snapshot,
                                                                       UserNumber user);
Result<std::optional<std::string>> read_device_keys_of(const kv::Snapshot& snapshot,
                                                       UserNumber user, const DeviceId& device);

// The slot says when it was uploaded.
void put_one_time_key(kv::Batch& batch, UserNumber user, const DeviceId& device, const KeyId& key,
                      std::string_view json, kv::PositionSlot slot);
void erase_one_time_key(kv::Batch& batch, UserNumber user, const DeviceId& device,
                        const KeyId& key);
Result<std::optional<std::string>> read_one_time_key(const kv::Snapshot& snapshot, UserNumber user,
                                                     const DeviceId& device, const KeyId& key);
// The one of the algorithm that was uploaded first; of those uploaded together, any.
Result<std::optional<std::pair<KeyId, std::string>>> first_one_time_key(
    const kv::Snapshot& snapshot, UserNumber user, const DeviceId& device,
    std::string_view algorithm);
Result<std::map<std::string, int64_t>> count_one_time_keys(const kv::Snapshot& snapshot,
                                                           UserNumber user, const DeviceId& device);

// The ids of one-time keys that were claimed. The slot says when.
void put_claimed_key(kv::Batch& batch, UserNumber user, const DeviceId& device, const KeyId& key,
                     kv::PositionSlot slot);
Result<bool> was_claimed(const kv::Snapshot& snapshot, UserNumber user, const DeviceId& device,
                         const KeyId& key);
// Forgets all but so many, the oldest first.
Status forget_claimed_keys(const kv::Snapshot& snapshot, kv::Batch& batch, UserNumber user,
                           const DeviceId& device, size_t kept);

struct FallbackKeyRow {
  KeyId key;
  bool used = false;
  std::string json;
};
void put_fallback_key(kv::Batch& batch, UserNumber user, const DeviceId& device,
                      const FallbackKeyRow& row);  // one an algorithm
Result<std::vector<FallbackKeyRow>> read_fallback_keys(const kv::Snapshot& snapshot,
                                                       UserNumber user, const DeviceId& device);

// usage: "master", "self_signing", "user_signing".
void put_cross_signing_key(kv::Batch& batch, UserNumber user, std::string_view usage,
                           std::string_view json);
Result<std::optional<std::string>> read_cross_signing_key(const kv::Snapshot& snapshot,
                                                          UserNumber user, std::string_view usage);
// What a user signed of another user's master key: the signatures object, seen only by the signer.
void put_signature_of_other(kv::Batch& batch, UserNumber signer, const UserId& other,
                            std::string_view signatures_json);
Result<std::optional<std::string>> read_signature_of_other(const kv::Snapshot& snapshot,
                                                           UserNumber signer, const UserId& other);
// That the signer's devices have to look the other user up again. The log of it is read with
// from < position <= to.
void put_signed_other(kv::Batch& batch, kv::PositionSlot slot, UserNumber signer, UserNumber other);
Result<std::vector<UserNumber>> read_signed_others(const kv::Snapshot& snapshot, UserNumber signer,
                                                   kv::Position from, kv::Position to);

// A user's devices or keys changed: one log of all users by position, and the same by user.
struct DeviceListChange {
  kv::Position position = 0;
  UserNumber user = 0;
  DeviceId device;  // whose keys or name changed; empty: the user's cross-signing keys
};
void put_device_list_change(kv::Batch& batch, kv::PositionSlot slot, UserNumber user,
                            const DeviceId& device);
// Of a row of the log; 0 if it is damaged.
UserNumber user_of_device_list_change(std::string_view value);
// The same for a user of another server, of whom only the last change is kept.
Status put_remote_list_change(const kv::Snapshot& snapshot, kv::Batch& batch, UserNumber user);
// Of an entry's value.
Result<DeviceListChange> device_list_change_of(kv::Position position, std::string_view value);
// With from < position <= to, oldest first.
Result<std::vector<DeviceListChange>> read_device_list_log(const kv::Snapshot& snapshot,
                                                           kv::Position from, kv::Position to,
                                                           size_t limit);
// The users in it, each once.
Result<std::vector<UserNumber>> read_device_list_changes(const kv::Snapshot& snapshot,
                                                         kv::Position from, kv::Position to);
// The position of the last change of one of the user's devices before a position; 0 if none.
Result<kv::Position> last_device_change(const kv::Snapshot& snapshot, UserNumber user,
                                        kv::Position before);

// A local user entered a room, in which there may be servers that know nothing of their devices.
struct RoomEntry {
  kv::Position position = 0;  // of the event
  UserNumber user = 0;
  RoomNumber room = 0;
};
void put_room_entry(kv::Batch& batch, kv::PositionSlot slot, UserNumber user, RoomNumber room);
void erase_room_entry(kv::Batch& batch, const RoomEntry& entry);
// Of what follows the position in an entry's key, and its value.
Result<RoomEntry> room_entry_of(kv::Position position, std::string_view key_rest,
                                std::string_view value);
// With from < position <= to, oldest first; those of one position together, even beyond the limit.
Result<std::vector<RoomEntry>> read_room_entries(const kv::Snapshot& snapshot, kv::Position from,
                                                 kv::Position to, size_t limit);

// Messages to devices, each {"content":...,"sender":...,"type":...}.
void put_to_device(kv::Batch& batch, UserNumber user, const DeviceId& device, kv::PositionSlot slot,
                   std::string_view json);
Result<std::vector<std::pair<kv::Position, std::string>>> read_to_device(
    const kv::Snapshot& snapshot, UserNumber user, const DeviceId& device, kv::Position from,
    kv::Position to, size_t limit);
// Row by row: a range would have to be looked at by every later reader of the column, and most
// acknowledgements have nothing to erase.
Status erase_to_device(const kv::Snapshot& snapshot, kv::Batch& batch, UserNumber user,
                       const DeviceId& device, kv::Position up_to);

}  // namespace polder::stores
