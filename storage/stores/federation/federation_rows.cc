#include "storage/stores/federation/federation_rows.h"

#include "storage/keys/key.h"
#include "storage/keys/value.h"
#include "storage/stores/base/rows.h"

namespace polder::stores {
namespace {

constexpr uint8_t kFormat = 1;
constexpr uint8_t kKeysTag = tag_of(Row::kServerKeys);
constexpr uint8_t kBacklogTag = tag_of(Row::kBacklog);
constexpr uint8_t kForwardTag = tag_of(Row::kForward);
constexpr uint8_t kWaitingTag = tag_of(Row::kWaitingEvent);
constexpr uint8_t kLateLeaveTag = tag_of(Row::kLateLeave);
constexpr uint8_t kKnownMessageTag = tag_of(Row::kReceivedMessage);
constexpr size_t kKeysMax = 1000;

std::string keys_key(const ServerName& server) {
  return keys::KeyWriter(kKeysTag).tail(server.view()).str();
}
std::string backlog_key(const ServerName& destination) {
  return keys::KeyWriter(kBacklogTag).tail(destination.view()).str();
}
std::string forward_key(const EventId& event) {
  return keys::KeyWriter(kForwardTag).tail(event.view()).str();
}

std::string waiting_key(const WaitingEvent& waiting) {
  keys::KeyWriter key(kWaitingTag);
  key.text(waiting.origin.view()).tail(waiting.event.view());
  return key.str();
}

std::string late_leave_key(const LateLeave& leave) {
  keys::KeyWriter key(kLateLeaveTag);
  key.text(leave.user.view()).tail(leave.room.view());
  return key.str();
}

keys::KeyWriter messages_prefix(const ServerName& origin) {
  keys::KeyWriter key(kKnownMessageTag);
  key.text(origin.view());
  return key;
}
std::string message_key(const ServerName& origin, uint32_t day, std::string_view id) {
  return messages_prefix(origin).u32(day).tail(id).str();
}

}  // namespace

void put_known_keys(kv::Batch& batch, const ServerName& server, const KnownKeys& known) {
  keys::ValueWriter value(kFormat);
  value.signed_varint(known.fetched_ms).text(known.response).varint(known.keys.size());
  for (const KnownKey& key : known.keys)
    value.text(key.id.view()).text(key.key).signed_varint(key.valid_until_ms);
  batch.put(kFederation, keys_key(server), value.str());
}

Result<std::optional<KnownKeys>> read_known_keys(const kv::Snapshot& snapshot,
                                                 const ServerName& server) {
  POLDER_TRY(const auto value, snapshot.get(kFederation, keys_key(server)));
  if (!value) return std::optional<KnownKeys>();
  keys::ValueReader reader(*value, kFormat);
  KnownKeys known;
  known.fetched_ms = reader.signed_varint();
  known.response = reader.text();
  known.keys.resize(std::min<uint64_t>(reader.varint(), kKeysMax));
  for (KnownKey& key : known.keys) {
    key.id = KeyId::trusted(std::string(reader.text()));
    key.key = reader.text();
    key.valid_until_ms = reader.signed_varint();
  }
  POLDER_CHECK(reader.finish("keys of a server"));
  return std::optional(std::move(known));
}

void put_backlog(kv::Batch& batch, const ServerName& destination, const Backlog& backlog) {
  keys::ValueWriter value(kFormat);
  value.fixed64(backlog.delivered).varint(backlog.unanswered);
  batch.put(kFederation, backlog_key(destination), value.str());
}

void erase_backlog(kv::Batch& batch, const ServerName& destination) {
  batch.erase(kFederation, backlog_key(destination));
}

Result<std::vector<std::pair<ServerName, Backlog>>> read_backlogs(const kv::Snapshot& snapshot) {
  std::vector<std::pair<ServerName, Backlog>> backlogs;
  const auto rows =
      snapshot.iterate(kFederation, kv::prefix_range(keys::KeyWriter(kBacklogTag).str()));
  for (rows->seek_to_first(); rows->valid(); rows->next()) {
    keys::KeyReader key(rows->key());
    key.u8();
    keys::ValueReader reader(rows->value(), kFormat);
    Backlog backlog;
    backlog.delivered = reader.fixed64();
    if (!reader.at_end()) backlog.unanswered = reader.varint();
    POLDER_CHECK(reader.finish("a destination's backlog"));
    backlogs.emplace_back(ServerName::trusted(std::string(key.tail())), backlog);
  }
  POLDER_CHECK(rows->status());
  return backlogs;
}

void put_forward(kv::Batch& batch, const EventId& event) {
  batch.put(kFederation, forward_key(event), keys::ValueWriter(kFormat).str());
}

void erase_forward(kv::Batch& batch, const EventId& event) {
  batch.erase(kFederation, forward_key(event));
}

Result<std::vector<EventId>> read_forwards(const kv::Snapshot& snapshot) {
  std::vector<EventId> events;
  const auto rows =
      snapshot.iterate(kFederation, kv::prefix_range(keys::KeyWriter(kForwardTag).str()));
  for (rows->seek_to_first(); rows->valid(); rows->next()) {
    keys::KeyReader key(rows->key());
    key.u8();
    events.push_back(EventId::trusted(std::string(key.tail())));
  }
  POLDER_CHECK(rows->status());
  return events;
}

Result<bool> is_forward(const kv::Snapshot& snapshot, const EventId& event) {
  POLDER_TRY(const auto value, snapshot.get(kFederation, forward_key(event)));
  return value.has_value();
}

void put_waiting(kv::Batch& batch, const WaitingEvent& waiting, std::string_view pdu) {
  keys::ValueWriter value(kFormat);
  value.text(waiting.room.view()).signed_varint(waiting.depth).signed_varint(waiting.since_ms);
  value.tail(pdu);
  batch.put(kFederation, waiting_key(waiting), value.str());
}

void erase_waiting(kv::Batch& batch, const WaitingEvent& waiting) {
  batch.erase(kFederation, waiting_key(waiting));
}

Result<std::vector<WaitingEvent>> read_waiting(const kv::Snapshot& snapshot) {
  std::vector<WaitingEvent> events;
  const auto rows =
      snapshot.iterate(kFederation, kv::prefix_range(keys::KeyWriter(kWaitingTag).str()));
  for (rows->seek_to_first(); rows->valid(); rows->next()) {
    WaitingEvent waiting;
    keys::KeyReader key(rows->key());
    key.u8();
    waiting.origin = ServerName::trusted(std::string(key.text()));
    waiting.event = EventId::trusted(std::string(key.tail()));
    keys::ValueReader value(rows->value(), kFormat);
    waiting.room = RoomId::trusted(std::string(value.text()));
    waiting.depth = value.signed_varint();
    waiting.since_ms = value.signed_varint();
    if (!value.ok()) return fail(ErrorCode::kCorrupt, "a waiting event");
    events.push_back(std::move(waiting));
  }
  POLDER_CHECK(rows->status());
  return events;
}

void put_late_leave(kv::Batch& batch, const LateLeave& leave) {
  keys::ValueWriter value(kFormat);
  value.signed_varint(leave.since_ms).text(leave.content).varint(leave.servers.size());
  for (const ServerName& server : leave.servers)
    value.text(server.view());
  batch.put(kFederation, late_leave_key(leave), value.str());
}

void erase_late_leave(kv::Batch& batch, const LateLeave& leave) {
  batch.erase(kFederation, late_leave_key(leave));
}

Result<std::vector<LateLeave>> read_late_leaves(const kv::Snapshot& snapshot) {
  std::vector<LateLeave> leaves;
  const auto rows =
      snapshot.iterate(kFederation, kv::prefix_range(keys::KeyWriter(kLateLeaveTag).str()));
  for (rows->seek_to_first(); rows->valid(); rows->next()) {
    LateLeave leave;
    keys::KeyReader key(rows->key());
    key.u8();
    leave.user = UserId::trusted(std::string(key.text()));
    leave.room = RoomId::trusted(std::string(key.tail()));
    keys::ValueReader value(rows->value(), kFormat);
    leave.since_ms = value.signed_varint();
    leave.content = value.text();
    for (uint64_t left = value.varint(); left > 0 && value.ok(); --left)
      leave.servers.push_back(ServerName::trusted(std::string(value.text())));
    POLDER_CHECK(value.finish("a leave that is to be told"));
    leaves.push_back(std::move(leave));
  }
  POLDER_CHECK(rows->status());
  return leaves;
}

Result<std::optional<std::string>> read_waiting_pdu(const kv::Snapshot& snapshot,
                                                    const WaitingEvent& waiting) {
  POLDER_TRY(const auto row, snapshot.get(kFederation, waiting_key(waiting)));
  if (!row) return std::optional<std::string>();
  keys::ValueReader value(*row, kFormat);
  value.text();
  value.signed_varint();
  value.signed_varint();
  std::string pdu(value.tail());
  if (!value.ok()) return fail(ErrorCode::kCorrupt, "a waiting event");
  return std::optional(std::move(pdu));
}

void put_known_message(kv::Batch& batch, const ServerName& origin, uint32_t day,
                       std::string_view id) {
  batch.put(kTransactions, message_key(origin, day, id), keys::ValueWriter(kFormat).str());
}

void erase_known_messages(kv::Batch& batch, const ServerName& origin, uint32_t before_day) {
  batch.erase_range(kTransactions, messages_prefix(origin).str(),
                    message_key(origin, before_day, ""));
}

Result<KnownMessage> find_known_message(const kv::Snapshot& snapshot, const ServerName& origin,
                                        uint32_t oldest_day, uint32_t newest_day,
                                        std::string_view id) {
  KnownMessage found;
  std::vector<std::string> wanted;
  for (uint32_t day = oldest_day; day <= newest_day; ++day)
    wanted.push_back(message_key(origin, day, id));
  POLDER_TRY(const auto values, snapshot.multi_get(kTransactions, wanted));
  for (const auto& value : values)
    found.known = found.known || value.has_value();
  const auto rows = snapshot.iterate(
      kTransactions, {messages_prefix(origin).str(), message_key(origin, oldest_day, "")});
  rows->seek_to_first();
  found.outdated = rows->valid();
  if (!found.outdated) POLDER_CHECK(rows->status());
  return found;
}

}  // namespace polder::stores
