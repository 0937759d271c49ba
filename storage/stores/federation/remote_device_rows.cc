#include "storage/stores/federation/remote_device_rows.h"

#include "storage/keys/key.h"
#include "storage/keys/value.h"
#include "storage/stores/base/rows.h"

namespace polder::stores {
namespace {

constexpr uint8_t kFormat = 1;
constexpr uint8_t kRemoteListTag = tag_of(Row::kRemoteDevices);
constexpr uint8_t kOutgoingTag = tag_of(Row::kOutgoingMessage);
constexpr uint8_t kListBacklogTag = tag_of(Row::kListBacklog);

std::string list_key(UserNumber user) {
  return keys::KeyWriter(kRemoteListTag).u64(user).str();
}
keys::KeyWriter outgoing_prefix(const ServerName& server) {
  return keys::KeyWriter(kOutgoingTag).text(server.view());
}
std::string outgoing_key(const ServerName& server, kv::Position position) {
  return outgoing_prefix(server).u64(position).str();
}
std::string backlog_key(const ServerName& server) {
  return keys::KeyWriter(kListBacklogTag).tail(server.view()).str();
}
std::string position_value(kv::Position position) {
  return keys::ValueWriter(kFormat).fixed64(position).str();
}

Result<kv::Position> decode_position(std::string_view bytes) {
  keys::ValueReader reader(bytes, kFormat);
  const kv::Position position = reader.fixed64();
  POLDER_CHECK(reader.finish("place in the log of device lists"));
  return position;
}

}  // namespace

void put_remote_device_list(kv::Batch& batch, UserNumber user, const RemoteDeviceList& list) {
  batch.put(kDeviceKeys, list_key(user),
            keys::ValueWriter(kFormat)
                .signed_varint(list.stream_id)
                .fixed64(list.as_of)
                .varint(list.room)
                .varint(list.witness)
                .tail(list.json)
                .str());
}

void erase_remote_device_list(kv::Batch& batch, UserNumber user) {
  batch.erase(kDeviceKeys, list_key(user));
}

Result<std::optional<RemoteDeviceList>> read_remote_device_list(const kv::Snapshot& snapshot,
                                                                UserNumber user) {
  POLDER_TRY(const auto value, snapshot.get(kDeviceKeys, list_key(user)));
  if (!value) return std::optional<RemoteDeviceList>();
  keys::ValueReader reader(*value, kFormat);
  RemoteDeviceList list;
  list.stream_id = reader.signed_varint();
  list.as_of = reader.fixed64();
  list.room = reader.varint();
  list.witness = reader.varint();
  list.json = reader.tail();
  POLDER_CHECK(reader.finish("devices of another server's user"));
  return std::optional(std::move(list));
}

void put_outgoing_message(kv::Batch& batch, const ServerName& server, kv::PositionSlot slot,
                          std::string_view json) {
  keys::put(batch, kFederation, outgoing_prefix(server).position(slot),
            keys::ValueWriter(kFormat).tail(json));
}

Result<std::vector<std::pair<kv::Position, std::string>>> read_outgoing_messages(
    const kv::Snapshot& snapshot, const ServerName& server, kv::Position after, size_t limit) {
  kv::Range range = kv::prefix_range(outgoing_prefix(server));
  range.from = outgoing_key(server, after + 1);
  std::vector<std::pair<kv::Position, std::string>> messages;
  const auto rows = snapshot.iterate(kFederation, range);
  for (rows->seek_to_first(); rows->valid() && messages.size() < limit; rows->next()) {
    keys::KeyReader key(rows->key());
    key.u8();
    key.text();
    keys::ValueReader reader(rows->value(), kFormat);
    std::string json(reader.tail());
    POLDER_CHECK(reader.finish("message to a device"));
    messages.emplace_back(key.u64(), std::move(json));
  }
  POLDER_CHECK(rows->status());
  return messages;
}

void erase_outgoing_messages(kv::Batch& batch, const ServerName& server, kv::Position up_to) {
  batch.erase_range(kFederation, outgoing_key(server, 0), outgoing_key(server, up_to + 1));
}

Result<std::map<ServerName, size_t>> count_outgoing_messages(const kv::Snapshot& snapshot) {
  std::map<ServerName, size_t> counts;
  const auto rows =
      snapshot.iterate(kFederation, kv::prefix_range(keys::KeyWriter(kOutgoingTag).str()));
  for (rows->seek_to_first(); rows->valid(); rows->next()) {
    keys::KeyReader key(rows->key());
    key.u8();
    ++counts[ServerName::trusted(std::string(key.text()))];
  }
  POLDER_CHECK(rows->status());
  return counts;
}

void put_list_backlog(kv::Batch& batch, const ServerName& server, kv::Position told) {
  batch.put(kFederation, backlog_key(server), position_value(told));
}

void erase_list_backlog(kv::Batch& batch, const ServerName& server) {
  batch.erase(kFederation, backlog_key(server));
}

Result<std::map<ServerName, kv::Position>> read_list_backlogs(const kv::Snapshot& snapshot) {
  std::map<ServerName, kv::Position> backlogs;
  const auto rows =
      snapshot.iterate(kFederation, kv::prefix_range(keys::KeyWriter(kListBacklogTag).str()));
  for (rows->seek_to_first(); rows->valid(); rows->next()) {
    keys::KeyReader key(rows->key());
    key.u8();
    POLDER_TRY(const kv::Position told, decode_position(rows->value()));
    backlogs.emplace(ServerName::trusted(std::string(key.tail())), told);
  }
  POLDER_CHECK(rows->status());
  return backlogs;
}

}  // namespace polder::stores
