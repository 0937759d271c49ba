#include "storage/stores/users/key_rows.h"

#include <algorithm>

#include "storage/keys/key.h"
#include "storage/keys/value.h"
#include "storage/stores/base/rows.h"

namespace polder::stores {
namespace {

constexpr uint8_t kFormat = 1;
constexpr uint8_t kOneTimeFormat = 2;
constexpr uint8_t kDeviceTag = tag_of(Row::kDeviceKeys);
constexpr uint8_t kOneTimeTag = tag_of(Row::kOneTimeKey);
constexpr uint8_t kFallbackTag = tag_of(Row::kFallbackKey);
constexpr uint8_t kCrossTag = tag_of(Row::kCrossSigningKey);
constexpr uint8_t kOtherTag = tag_of(Row::kSignatureOfOther);
constexpr uint8_t kChangesTag = tag_of(Row::kDeviceListChangeOfUser);
constexpr uint8_t kClaimedTag = tag_of(Row::kClaimedKey);

keys::KeyWriter device_prefix(uint8_t tag, UserNumber user, const DeviceId& device) {
  return keys::KeyWriter(tag).u64(user).text(device.view());
}
std::string device_key(UserNumber user, const DeviceId& device) {
  return keys::KeyWriter(kDeviceTag).u64(user).tail(device.view()).str();
}
keys::KeyWriter one_time_key(UserNumber user, const DeviceId& device, const KeyId& key) {
  return device_prefix(kOneTimeTag, user, device).text(key.algorithm()).tail(key.name());
}
keys::KeyWriter claimed_key(UserNumber user, const DeviceId& device, const KeyId& key) {
  return device_prefix(kClaimedTag, user, device).text(key.algorithm()).tail(key.name());
}
struct OneTimeKey {
  kv::Position uploaded = 0;
  std::string json;
};
Result<OneTimeKey> decode_one_time_key(std::string_view bytes) {
  keys::ValueReader reader(bytes, kOneTimeFormat);
  OneTimeKey key;
  key.uploaded = reader.fixed64();
  key.json = reader.tail();
  POLDER_CHECK(reader.finish("one-time key"));
  return key;
}
std::string text_value(std::string_view text) {
  return keys::ValueWriter(kFormat).tail(text).str();
}

Result<std::string> decode_text(std::string_view bytes) {
  keys::ValueReader reader(bytes, kFormat);
  std::string text(reader.tail());
  POLDER_CHECK(reader.finish("key"));
  return text;
}

Result<std::optional<std::string>> read_text(const kv::Snapshot& snapshot, std::string_view key) {
  POLDER_TRY(const auto value, snapshot.get(kDeviceKeys, key));
  if (!value) return std::optional<std::string>();
  POLDER_TRY(std::string text, decode_text(*value));
  return std::optional(std::move(text));
}

std::string inbox_key(UserNumber user, const DeviceId& device, kv::Position position) {
  return keys::KeyWriter().u64(user).text(device.view()).u64(position).str();
}

std::string cross_key(UserNumber user, std::string_view usage) {
  return keys::KeyWriter(kCrossTag).u64(user).tail(usage).str();
}
std::string other_key(UserNumber signer, const UserId& other) {
  return keys::KeyWriter(kOtherTag).u64(signer).tail(other.view()).str();
}
std::string change_key(kv::Position position) {
  return keys::KeyWriter(tag_of(Row::kDeviceListStream)).u64(position).str();
}
keys::KeyWriter entry_key(kv::Position position) {
  return keys::KeyWriter(tag_of(Row::kRoomEntryStream)).u64(position);
}
kv::Range changes_of(UserNumber user) {
  return kv::prefix_range(keys::KeyWriter(kChangesTag).u64(user).str());
}
kv::Position position_of_change(std::string_view key) {
  keys::KeyReader reader(key);
  reader.u8();
  reader.u64();
  return reader.u64();
}

}  // namespace

void put_device_keys(kv::Batch& batch, UserNumber user, const DeviceId& device,
                     std::string_view json) {
  batch.put(kDeviceKeys, device_key(user, device), text_value(json));
}

Result<std::vector<std::pair<DeviceId, std::string>>> read_device_keys(const kv::Snapshot& snapshot,
                                                                       UserNumber user) {
  std::vector<std::pair<DeviceId, std::string>> devices;
  const std::string prefix = keys::KeyWriter(kDeviceTag).u64(user).str();
  const auto rows = snapshot.iterate(kDeviceKeys, kv::prefix_range(prefix));
  for (rows->seek_to_first(); rows->valid(); rows->next()) {
    POLDER_TRY(std::string json, decode_text(rows->value()));
    devices.emplace_back(DeviceId::trusted(std::string(rows->key().substr(prefix.size()))),
                         std::move(json));
  }
  POLDER_CHECK(rows->status());
  return devices;
}

Result<std::optional<std::string>> read_device_keys_of(const kv::Snapshot& snapshot,
                                                       UserNumber user, const DeviceId& device) {
  return read_text(snapshot, device_key(user, device));
}

void put_one_time_key(kv::Batch& batch, UserNumber user, const DeviceId& device, const KeyId& key,
                      std::string_view json, kv::PositionSlot slot) {
  keys::put(batch, kDeviceKeys, one_time_key(user, device, key),
            keys::ValueWriter(kOneTimeFormat).position(slot).tail(json));
}

void erase_one_time_key(kv::Batch& batch, UserNumber user, const DeviceId& device,
                        const KeyId& key) {
  batch.erase(kDeviceKeys, one_time_key(user, device, key).str());
}

Result<std::optional<std::string>> read_one_time_key(const kv::Snapshot& snapshot, UserNumber user,
                                                     const DeviceId& device, const KeyId& key) {
  POLDER_TRY(const auto value, snapshot.get(kDeviceKeys, one_time_key(user, device, key).str()));
  if (!value) return std::optional<std::string>();
  POLDER_TRY(OneTimeKey found, decode_one_time_key(*value));
  return std::optional(std::move(found.json));
}

// A device has few.
Result<std::optional<std::pair<KeyId, std::string>>> first_one_time_key(
    const kv::Snapshot& snapshot, UserNumber user, const DeviceId& device,
    std::string_view algorithm) {
  const std::string prefix = device_prefix(kOneTimeTag, user, device).text(algorithm).str();
  const auto rows = snapshot.iterate(kDeviceKeys, kv::prefix_range(prefix));
  std::optional<OneTimeKey> first;
  std::string name;
  for (rows->seek_to_first(); rows->valid(); rows->next()) {
    POLDER_TRY(OneTimeKey key, decode_one_time_key(rows->value()));
    if (first && first->uploaded <= key.uploaded) continue;
    first = std::move(key);
    name = rows->key().substr(prefix.size());
  }
  POLDER_CHECK(rows->status());
  if (!first) return std::optional<std::pair<KeyId, std::string>>();
  return std::optional(
      std::pair(KeyId::trusted(std::string(algorithm) + ":" + name), std::move(first->json)));
}

Result<std::map<std::string, int64_t>> count_one_time_keys(const kv::Snapshot& snapshot,
                                                           UserNumber user,
                                                           const DeviceId& device) {
  std::map<std::string, int64_t> counts;
  const std::string prefix = device_prefix(kOneTimeTag, user, device).str();
  const auto rows = snapshot.iterate(kDeviceKeys, kv::prefix_range(prefix));
  for (rows->seek_to_first(); rows->valid(); rows->next()) {
    keys::KeyReader key(rows->key().substr(prefix.size()));
    ++counts[std::string(key.text())];
  }
  POLDER_CHECK(rows->status());
  return counts;
}

void put_claimed_key(kv::Batch& batch, UserNumber user, const DeviceId& device, const KeyId& key,
                     kv::PositionSlot slot) {
  keys::put(batch, kDeviceKeys, claimed_key(user, device, key),
            keys::ValueWriter(kFormat).position(slot));
}

Result<bool> was_claimed(const kv::Snapshot& snapshot, UserNumber user, const DeviceId& device,
                         const KeyId& key) {
  POLDER_TRY(const auto value, snapshot.get(kDeviceKeys, claimed_key(user, device, key).str()));
  return value.has_value();
}

Status forget_claimed_keys(const kv::Snapshot& snapshot, kv::Batch& batch, UserNumber user,
                           const DeviceId& device, size_t kept) {
  std::vector<std::pair<kv::Position, std::string>> claimed;
  const auto rows =
      snapshot.iterate(kDeviceKeys, kv::prefix_range(device_prefix(kClaimedTag, user, device)));
  for (rows->seek_to_first(); rows->valid(); rows->next()) {
    keys::ValueReader reader(rows->value(), kFormat);
    claimed.emplace_back(reader.fixed64(), rows->key());
    POLDER_CHECK(reader.finish("claimed key"));
  }
  POLDER_CHECK(rows->status());
  if (claimed.size() <= kept) return {};
  std::ranges::sort(claimed);
  claimed.resize(claimed.size() - kept);
  for (const auto& [position, key] : claimed)
    batch.erase(kDeviceKeys, key);
  return {};
}

void put_fallback_key(kv::Batch& batch, UserNumber user, const DeviceId& device,
                      const FallbackKeyRow& row) {
  batch.put(kDeviceKeys, device_prefix(kFallbackTag, user, device).tail(row.key.algorithm()),
            keys::ValueWriter(kFormat).text(row.key.view()).boolean(row.used).tail(row.json).str());
}

Result<std::vector<FallbackKeyRow>> read_fallback_keys(const kv::Snapshot& snapshot,
                                                       UserNumber user, const DeviceId& device) {
  std::vector<FallbackKeyRow> keys;
  const auto rows =
      snapshot.iterate(kDeviceKeys, kv::prefix_range(device_prefix(kFallbackTag, user, device)));
  for (rows->seek_to_first(); rows->valid(); rows->next()) {
    keys::ValueReader reader(rows->value(), kFormat);
    FallbackKeyRow row;
    row.key = KeyId::trusted(std::string(reader.text()));
    row.used = reader.boolean();
    row.json = reader.tail();
    POLDER_CHECK(reader.finish("fallback key"));
    keys.push_back(std::move(row));
  }
  POLDER_CHECK(rows->status());
  return keys;
}

void put_cross_signing_key(kv::Batch& batch, UserNumber user, std::string_view usage,
                           std::string_view json) {
  batch.put(kDeviceKeys, cross_key(user, usage), text_value(json));
}

Result<std::optional<std::string>> read_cross_signing_key(const kv::Snapshot& snapshot,
                                                          UserNumber user, std::string_view usage) {
  return read_text(snapshot, cross_key(user, usage));
}

void put_signature_of_other(kv::Batch& batch, UserNumber signer, const UserId& other,
                            std::string_view signatures_json) {
  batch.put(kDeviceKeys, other_key(signer, other), text_value(signatures_json));
}

void put_signed_other(kv::Batch& batch, kv::PositionSlot slot, UserNumber signer,
                      UserNumber other) {
  keys::put(batch, kStreams, keys::KeyWriter(tag_of(Row::kSignedStream)).u64(signer).position(slot),
            keys::ValueWriter(kFormat).varint(other));
}

Result<std::vector<UserNumber>> read_signed_others(const kv::Snapshot& snapshot, UserNumber signer,
                                                   kv::Position from, kv::Position to) {
  const auto key = [signer](kv::Position position) {
    return keys::KeyWriter(tag_of(Row::kSignedStream)).u64(signer).u64(position).str();
  };
  std::vector<UserNumber> others;
  const auto rows = snapshot.iterate(kStreams, {key(from + 1), key(to + 1)});
  for (rows->seek_to_first(); rows->valid(); rows->next()) {
    keys::ValueReader reader(rows->value(), kFormat);
    others.push_back(reader.varint());
    POLDER_CHECK(reader.finish("signed user"));
  }
  POLDER_CHECK(rows->status());
  return others;
}

Result<std::optional<std::string>> read_signature_of_other(const kv::Snapshot& snapshot,
                                                           UserNumber signer, const UserId& other) {
  return read_text(snapshot, other_key(signer, other));
}

void put_device_list_change(kv::Batch& batch, kv::PositionSlot slot, UserNumber user,
                            const DeviceId& device) {
  keys::put(batch, kStreams, keys::KeyWriter(tag_of(Row::kDeviceListStream)).position(slot),
            keys::ValueWriter(kFormat).varint(user).tail(device.view()));
  keys::put(batch, kDeviceKeys, keys::KeyWriter(kChangesTag).u64(user).position(slot),
            keys::ValueWriter(kFormat).tail(device.view()));
}

UserNumber user_of_device_list_change(std::string_view value) {
  return keys::ValueReader(value, kFormat).varint();
}

Status put_remote_list_change(const kv::Snapshot& snapshot, kv::Batch& batch, UserNumber user) {
  const auto rows = snapshot.iterate(kDeviceKeys, changes_of(user));
  for (rows->seek_to_first(); rows->valid(); rows->next()) {
    batch.erase(kStreams, change_key(position_of_change(rows->key())));
    batch.erase(kDeviceKeys, rows->key());
  }
  POLDER_CHECK(rows->status());
  put_device_list_change(batch, batch.reserve_position(), user, {});
  return {};
}

Result<DeviceListChange> device_list_change_of(kv::Position position, std::string_view value) {
  keys::ValueReader reader(value, kFormat);
  DeviceListChange change;
  change.position = position;
  change.user = reader.varint();
  change.device = DeviceId::trusted(std::string(reader.tail()));
  POLDER_CHECK(reader.finish("device list change"));
  return change;
}

Result<std::vector<DeviceListChange>> read_device_list_log(const kv::Snapshot& snapshot,
                                                           kv::Position from, kv::Position to,
                                                           size_t limit) {
  std::vector<DeviceListChange> changes;
  const auto rows = snapshot.iterate(kStreams, {change_key(from + 1), change_key(to + 1)});
  for (rows->seek_to_first(); rows->valid() && changes.size() < limit; rows->next()) {
    keys::KeyReader key(rows->key());
    key.u8();
    POLDER_TRY(DeviceListChange change, device_list_change_of(key.u64(), rows->value()));
    changes.push_back(std::move(change));
  }
  POLDER_CHECK(rows->status());
  return changes;
}

Result<std::vector<UserNumber>> read_device_list_changes(const kv::Snapshot& snapshot,
                                                         kv::Position from, kv::Position to) {
  POLDER_TRY(const auto log, read_device_list_log(snapshot, from, to, ~size_t{0}));
  std::vector<UserNumber> users;
  for (const DeviceListChange& change : log)
    users.push_back(change.user);
  std::ranges::sort(users);
  const auto repeated = std::ranges::unique(users);
  users.erase(repeated.begin(), repeated.end());
  return users;
}

Result<kv::Position> last_device_change(const kv::Snapshot& snapshot, UserNumber user,
                                        kv::Position before) {
  kv::Range range = changes_of(user);
  range.to = keys::KeyWriter(kChangesTag).u64(user).u64(before).str();
  const auto rows = snapshot.iterate(kDeviceKeys, range);
  for (rows->seek_to_last(); rows->valid(); rows->prev()) {
    keys::ValueReader reader(rows->value(), kFormat);
    const bool of_device = !reader.tail().empty();
    POLDER_CHECK(reader.finish("device list change"));
    if (of_device) return position_of_change(rows->key());
  }
  POLDER_CHECK(rows->status());
  return kv::Position{0};
}

void put_room_entry(kv::Batch& batch, kv::PositionSlot slot, UserNumber user, RoomNumber room) {
  keys::put(batch, kStreams,
            keys::KeyWriter(tag_of(Row::kRoomEntryStream)).position(slot).u64(user),
            keys::ValueWriter(kFormat).varint(room));
}

void erase_room_entry(kv::Batch& batch, const RoomEntry& entry) {
  batch.erase(kStreams, entry_key(entry.position).u64(entry.user).str());
}

Result<RoomEntry> room_entry_of(kv::Position position, std::string_view key_rest,
                                std::string_view value) {
  RoomEntry entry;
  entry.position = position;
  entry.user = keys::KeyReader(key_rest).u64();
  keys::ValueReader reader(value, kFormat);
  entry.room = reader.varint();
  POLDER_CHECK(reader.finish("room entry"));
  return entry;
}

Result<std::vector<RoomEntry>> read_room_entries(const kv::Snapshot& snapshot, kv::Position from,
                                                 kv::Position to, size_t limit) {
  std::vector<RoomEntry> entries;
  const auto rows =
      snapshot.iterate(kStreams, {entry_key(from + 1).str(), entry_key(to + 1).str()});
  for (rows->seek_to_first(); rows->valid(); rows->next()) {
    keys::KeyReader key(rows->key());
    key.u8();
    const kv::Position position = key.u64();
    if (entries.size() >= limit && position != entries.back().position) break;
    POLDER_TRY(const RoomEntry entry, room_entry_of(position, key.tail(), rows->value()));
    entries.push_back(entry);
  }
  POLDER_CHECK(rows->status());
  return entries;
}

void put_to_device(kv::Batch& batch, UserNumber user, const DeviceId& device, kv::PositionSlot slot,
                   std::string_view json) {
  keys::put(batch, kToDevice, keys::KeyWriter().u64(user).text(device.view()).position(slot),
            keys::ValueWriter(kFormat).tail(json));
}

Result<std::vector<std::pair<kv::Position, std::string>>> read_to_device(
    const kv::Snapshot& snapshot, UserNumber user, const DeviceId& device, kv::Position from,
    kv::Position to, size_t limit) {
  std::vector<std::pair<kv::Position, std::string>> messages;
  const auto rows = snapshot.iterate(
      kToDevice, {inbox_key(user, device, from + 1), inbox_key(user, device, to + 1)});
  for (rows->seek_to_first(); rows->valid() && messages.size() < limit; rows->next()) {
    keys::KeyReader key(rows->key());
    key.u64();
    key.text();
    const kv::Position position = key.u64();
    POLDER_TRY(std::string json, decode_text(rows->value()));
    messages.emplace_back(position, std::move(json));
  }
  POLDER_CHECK(rows->status());
  return messages;
}

Status erase_to_device(const kv::Snapshot& snapshot, kv::Batch& batch, UserNumber user,
                       const DeviceId& device, kv::Position up_to) {
  const auto rows =
      snapshot.iterate(kToDevice, {inbox_key(user, device, 0), inbox_key(user, device, up_to + 1)});
  for (rows->seek_to_first(); rows->valid(); rows->next())
    batch.erase(kToDevice, rows->key());
  return rows->status();
}

}  // namespace polder::stores
