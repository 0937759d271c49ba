#include "storage/stores/users/user_rows.h"

#include <algorithm>
#include <set>

#include "storage/keys/key.h"
#include "storage/keys/value.h"
#include "storage/stores/base/row_forms.h"

namespace polder::stores {
namespace {

constexpr uint8_t kFormat = 1;
constexpr uint8_t kAccountTag = tag_of(Row::kAccount);
constexpr uint8_t kDeviceTag = tag_of(Row::kDevice);
constexpr uint8_t kAccountDataTag = tag_of(Row::kAccountData);
constexpr uint8_t kFilterTag = tag_of(Row::kFilter);
constexpr uint8_t kPushRulesTag = tag_of(Row::kPushRules);
constexpr uint8_t kEarlierPushRulesTag = tag_of(Row::kEarlierPushRules);
constexpr uint8_t kRequestTag = tag_of(Row::kRequestAnswer);
constexpr uint8_t kEventTag = tag_of(Row::kEventTransaction);

std::string device_key(UserNumber user, const DeviceId& device) {
  return keys::KeyWriter(kDeviceTag).u64(user).tail(device.view()).str();
}
// What keys of a kind that begin with a user begin with.
keys::KeyWriter key_of_user(const RowKind& kind, UserNumber user) {
  keys::KeyWriter key;
  if (kind.tag != kUntagged) key.u8(kind.tag);
  key.u64(user);
  return key;
}
std::string token_key(const Digest& token) {
  return keys::KeyWriter(tag_of(Row::kSession)).tail(as_text(token)).str();
}
std::string user_token_key(UserNumber user, const Digest& token) {
  return keys::KeyWriter(tag_of(Row::kSessionOfUser)).u64(user).tail(as_text(token)).str();
}
std::string data_key(UserNumber user, RoomNumber room, std::string_view type) {
  return keys::KeyWriter(kAccountDataTag).u64(user).u64(room).tail(type).str();
}
std::string size_in_room_key(UserNumber user, RoomNumber room) {
  return keys::KeyWriter(tag_of(Row::kAccountDataInRoom)).u64(user).u64(room).str();
}
std::string size_in_all_key(UserNumber user) {
  return keys::KeyWriter(tag_of(Row::kAccountDataInAll)).u64(user).str();
}
std::string filter_key(UserNumber user, uint64_t number) {
  return keys::KeyWriter(kFilterTag).u64(user).u64(number).str();
}
std::string push_rules_key(UserNumber user) {
  return keys::KeyWriter(kPushRulesTag).u64(user).str();
}
std::string change_key(UserNumber user, kv::Position position) {
  return keys::KeyWriter(tag_of(Row::kAccountDataStream)).u64(user).u64(position).str();
}
// Tells of a change of account data; `replaced` is the position of the one before, 0: none.
void put_change(kv::Batch& batch, UserNumber user, RoomNumber room, std::string_view type,
                kv::PositionSlot slot, kv::Position replaced) {
  if (replaced != 0) batch.erase(kStreams, change_key(user, replaced));
  keys::put(batch, kStreams,
            keys::KeyWriter(tag_of(Row::kAccountDataStream)).u64(user).position(slot),
            keys::ValueWriter(kFormat).varint(room).tail(type));
}

Result<AccountRow> decode_account(std::string_view bytes) {
  keys::ValueReader reader(bytes, kFormat);
  AccountRow row;
  const uint64_t flags = reader.varint();
  row.admin = (flags & 1) != 0;
  row.guest = (flags & 2) != 0;
  row.deactivated = (flags & 4) != 0;
  row.erased = (flags & 8) != 0;
  row.leaving = (flags & 16) != 0;
  row.created_ms = reader.signed_varint();
  row.password_hash = reader.text();
  row.displayname = reader.text();
  row.avatar_url = reader.text();
  POLDER_CHECK(reader.finish("account"));
  return row;
}

Result<DeviceRow> decode_device(std::string_view bytes) {
  keys::ValueReader reader(bytes, kFormat);
  DeviceRow row;
  row.display_name = reader.text();
  row.last_seen_ms = reader.signed_varint();
  row.last_seen_ip = reader.text();
  POLDER_CHECK(reader.finish("device"));
  return row;
}

Result<SessionRow> decode_session(std::string_view bytes) {
  keys::ValueReader reader(bytes, kFormat);
  SessionRow row;
  row.user = reader.varint();
  row.device = DeviceId::trusted(std::string(reader.text()));
  row.kind = reader.varint();
  row.expires_ms = reader.signed_varint();
  row.scope = reader.text();
  row.parent = reader.text();
  row.provider = reader.text();
  POLDER_CHECK(reader.finish("session"));
  return row;
}

Result<AccountDataRow> decode_account_data(std::string_view type, std::string_view bytes) {
  keys::ValueReader reader(bytes, kFormat);
  AccountDataRow row;
  row.type = type;
  row.position = reader.fixed64();
  row.content = reader.tail();
  POLDER_CHECK(reader.finish("account data"));
  return row;
}

Result<AccountDataSize> decode_size(std::string_view bytes) {
  keys::ValueReader reader(bytes, kFormat);
  AccountDataSize size;
  size.types = reader.varint();
  size.bytes = reader.varint();
  POLDER_CHECK(reader.finish("size of account data"));
  return size;
}

// If it is written.
Result<std::optional<AccountDataSize>> read_size(const kv::Snapshot& snapshot,
                                                 std::string_view key) {
  POLDER_TRY(const auto value, snapshot.get(kUserData, key));
  if (!value) return std::optional<AccountDataSize>();
  POLDER_TRY(const AccountDataSize size, decode_size(*value));
  return std::optional(size);
}

// The value of a row that is only text.
Result<std::optional<std::string>> read_text(const kv::Snapshot& snapshot, Column column,
                                             std::string_view key, std::string_view what) {
  POLDER_TRY(const auto value, snapshot.get(column, key));
  if (!value) return std::optional<std::string>();
  keys::ValueReader reader(*value, kFormat);
  std::string text(reader.tail());
  POLDER_CHECK(reader.finish(what));
  return std::optional(std::move(text));
}

std::string text_value(std::string_view text) {
  return keys::ValueWriter(kFormat).tail(text).str();
}

}  // namespace

void put_account(kv::Batch& batch, UserNumber user, const AccountRow& row) {
  keys::ValueWriter value(kFormat);
  value
      .varint((row.admin ? 1u : 0u) | (row.guest ? 2u : 0u) | (row.deactivated ? 4u : 0u) |
              (row.erased ? 8u : 0u) | (row.leaving ? 16u : 0u))
      .signed_varint(row.created_ms);
  value.text(row.password_hash).text(row.displayname).text(row.avatar_url);
  batch.put(kUsers, keys::KeyWriter(kAccountTag).u64(user), value);
}

Result<std::optional<AccountRow>> read_account(const kv::Snapshot& snapshot, UserNumber user) {
  POLDER_TRY(const auto value, snapshot.get(kUsers, keys::KeyWriter(kAccountTag).u64(user)));
  if (!value) return std::optional<AccountRow>();
  POLDER_TRY(AccountRow row, decode_account(*value));
  return std::optional(std::move(row));
}

Status for_each_account(const kv::Snapshot& snapshot,
                        const std::function<Status(UserNumber, const AccountRow&)>& visit) {
  const auto rows = snapshot.iterate(kUsers, kv::prefix_range(keys::KeyWriter(kAccountTag).str()));
  for (rows->seek_to_first(); rows->valid(); rows->next()) {
    keys::KeyReader key(rows->key());
    key.u8();
    const UserNumber user = key.u64();
    POLDER_TRY(const AccountRow row, decode_account(rows->value()));
    POLDER_CHECK(visit(user, row));
  }
  return rows->status();
}

void erase_user_data(kv::Batch& batch, UserNumber user) {
  for (const auto& [column, range] : rows_of(user, Lifetime::kDeactivated))
    batch.erase_range(column, range.from, range.to);
}

void put_device(kv::Batch& batch, UserNumber user, const DeviceId& device, const DeviceRow& row) {
  batch.put(kUsers, device_key(user, device),
            keys::ValueWriter(kFormat)
                .text(row.display_name)
                .signed_varint(row.last_seen_ms)
                .text(row.last_seen_ip)
                .str());
}

void erase_device(kv::Batch& batch, UserNumber user, const DeviceId& device) {
  for (const RowKind& kind : kRowKinds) {
    if (kind.lifetime != Lifetime::kDevice) continue;
    keys::KeyWriter key = key_of_user(kind, user);
    if (kind.key[1].form == Form::kRest) {
      batch.erase(kind.column, key.tail(device.view()));
    } else {
      const kv::Range range = kv::prefix_range(key.text(device.view()));
      batch.erase_range(kind.column, range.from, range.to);
    }
  }
}

Status erase_rest_of_device(const kv::Snapshot& snapshot, kv::Batch& batch, UserNumber user,
                            const DeviceId& device) {
  for (const RowKind& kind : kRowKinds) {
    if (kind.lifetime != Lifetime::kDevice || kind.key[1].form == Form::kRest) continue;
    const kv::Range range = kv::prefix_range(key_of_user(kind, user).text(device.view()));
    const auto row = snapshot.iterate(kind.column, range);
    row->seek_to_first();
    if (row->valid()) batch.erase_range(kind.column, range.from, range.to);
    POLDER_CHECK(row->status());
  }
  return {};
}

Result<std::optional<DeviceRow>> read_device(const kv::Snapshot& snapshot, UserNumber user,
                                             const DeviceId& device) {
  POLDER_TRY(const auto value, snapshot.get(kUsers, device_key(user, device)));
  if (!value) return std::optional<DeviceRow>();
  POLDER_TRY(auto row, decode_device(*value));
  return std::optional(std::move(row));
}

Result<std::vector<std::pair<DeviceId, DeviceRow>>> read_devices(const kv::Snapshot& snapshot,
                                                                 UserNumber user) {
  std::vector<std::pair<DeviceId, DeviceRow>> devices;
  const auto rows =
      snapshot.iterate(kUsers, kv::prefix_range(keys::KeyWriter(kDeviceTag).u64(user).str()));
  for (rows->seek_to_first(); rows->valid(); rows->next()) {
    keys::KeyReader key(rows->key());
    key.u8();
    key.u64();
    POLDER_TRY(auto row, decode_device(rows->value()));
    devices.emplace_back(DeviceId::trusted(std::string(key.tail())), std::move(row));
  }
  POLDER_CHECK(rows->status());
  return devices;
}

void put_session(kv::Batch& batch, const Digest& token, const SessionRow& row) {
  keys::ValueWriter value(kFormat);
  value.varint(row.user).text(row.device.view()).varint(row.kind).signed_varint(row.expires_ms);
  value.text(row.scope).text(row.parent).text(row.provider);
  batch.put(kSessions, token_key(token), value);
  batch.put(kSessions, user_token_key(row.user, token), text_value(""));
}

void erase_session(kv::Batch& batch, const Digest& token, UserNumber user) {
  batch.erase(kSessions, token_key(token));
  batch.erase(kSessions, user_token_key(user, token));
}

Result<std::optional<SessionRow>> read_session(const kv::Snapshot& snapshot, const Digest& token) {
  POLDER_TRY(const auto value, snapshot.get(kSessions, token_key(token)));
  if (!value) return std::optional<SessionRow>();
  POLDER_TRY(auto row, decode_session(*value));
  return std::optional(std::move(row));
}

namespace {

Result<Digest> read_digest(std::string_view raw) {
  Digest token{};
  if (raw.size() != token.size())
    return fail(ErrorCode::kCorrupt, "damaged key in column sessions");
  std::ranges::copy(raw, token.begin());
  return token;
}

}  // namespace

Status for_each_session(const kv::Snapshot& snapshot,
                        const std::function<Status(const Digest&, const SessionRow&)>& by_token,
                        const std::function<Status(UserNumber, const Digest&)>& by_user) {
  const auto rows = snapshot.iterate(kSessions, {});
  for (rows->seek_to_first(); rows->valid(); rows->next()) {
    keys::KeyReader key(rows->key());
    if (key.u8() == tag_of(Row::kSession)) {
      POLDER_TRY(const Digest token, read_digest(key.tail()));
      POLDER_TRY(const SessionRow row, decode_session(rows->value()));
      POLDER_CHECK(by_token(token, row));
    } else {
      const UserNumber user = key.u64();
      POLDER_TRY(const Digest token, read_digest(key.tail()));
      POLDER_CHECK(by_user(user, token));
    }
  }
  return rows->status();
}

Result<std::vector<std::pair<Digest, SessionRow>>> read_sessions_of(const kv::Snapshot& snapshot,
                                                                    UserNumber user) {
  std::vector<std::pair<Digest, SessionRow>> sessions;
  const auto rows = snapshot.iterate(
      kSessions, kv::prefix_range(keys::KeyWriter(tag_of(Row::kSessionOfUser)).u64(user).str()));
  for (rows->seek_to_first(); rows->valid(); rows->next()) {
    keys::KeyReader key(rows->key());
    key.u8();
    key.u64();
    POLDER_TRY(const Digest token, read_digest(key.tail()));
    POLDER_TRY(auto row, read_session(snapshot, token));
    if (!row) return fail(ErrorCode::kCorrupt, "a session of a user is missing");
    sessions.emplace_back(token, *std::move(row));
  }
  POLDER_CHECK(rows->status());
  return sessions;
}

void put_account_data(kv::Batch& batch, UserNumber user, RoomNumber room, std::string_view type,
                      std::string_view content, kv::PositionSlot slot, kv::Position replaced) {
  const auto value = keys::ValueWriter(kFormat).position(slot).tail(content);
  batch.put(kUserData, data_key(user, room, type), {}, value, value.patches());
  put_change(batch, user, room, type, slot, replaced);
}

Result<std::optional<AccountDataRow>> read_account_data(const kv::Snapshot& snapshot,
                                                        UserNumber user, RoomNumber room,
                                                        std::string_view type) {
  POLDER_TRY(const auto value, snapshot.get(kUserData, data_key(user, room, type)));
  if (!value) return std::optional<AccountDataRow>();
  POLDER_TRY(auto row, decode_account_data(type, *value));
  return std::optional(std::move(row));
}

Result<std::vector<AccountDataRow>> read_all_account_data(const kv::Snapshot& snapshot,
                                                          UserNumber user, RoomNumber room) {
  std::vector<AccountDataRow> all;
  const std::string prefix = data_key(user, room, "");
  const auto rows = snapshot.iterate(kUserData, kv::prefix_range(prefix));
  for (rows->seek_to_first(); rows->valid(); rows->next()) {
    POLDER_TRY(auto row, decode_account_data(rows->key().substr(prefix.size()), rows->value()));
    all.push_back(std::move(row));
  }
  POLDER_CHECK(rows->status());
  return all;
}

void put_account_data_sizes(kv::Batch& batch, UserNumber user, RoomNumber room,
                            const AccountDataSizes& sizes) {
  const auto value = [](const AccountDataSize& size) {
    return keys::ValueWriter(kFormat).varint(size.types).varint(size.bytes).str();
  };
  batch.put(kUserData, size_in_room_key(user, room), value(sizes.of_room));
  batch.put(kUserData, size_in_all_key(user), value(sizes.all));
}

Result<AccountDataSizes> read_account_data_sizes(const kv::Snapshot& snapshot, UserNumber user,
                                                 RoomNumber room) {
  POLDER_TRY(auto of_room, read_size(snapshot, size_in_room_key(user, room)));
  POLDER_TRY(auto all, read_size(snapshot, size_in_all_key(user)));
  if (!of_room) {
    POLDER_TRY(of_room, measure_account_data(snapshot, user, room));
  }
  if (!all) {
    POLDER_TRY(all, measure_account_data(snapshot, user, std::nullopt));
  }
  return AccountDataSizes{*of_room, *all};
}

Result<AccountDataSize> measure_account_data(const kv::Snapshot& snapshot, UserNumber user,
                                             std::optional<RoomNumber> room) {
  AccountDataSize size;
  const std::string of_user = keys::KeyWriter(kAccountDataTag).u64(user).str();
  const size_t type_at = of_user.size() + sizeof(RoomNumber);
  const auto rows =
      snapshot.iterate(kUserData, kv::prefix_range(room ? data_key(user, *room, "") : of_user));
  for (rows->seek_to_first(); rows->valid(); rows->next()) {
    POLDER_TRY(const auto row, decode_account_data(rows->key().substr(type_at), rows->value()));
    ++size.types;
    size.bytes += row.type.size() + row.content.size();
  }
  POLDER_CHECK(rows->status());
  return size;
}

Status for_each_account_data_size(
    const kv::Snapshot& snapshot,
    const std::function<Status(UserNumber, std::optional<RoomNumber>, AccountDataSize)>& visit) {
  const std::string from = keys::KeyWriter(tag_of(Row::kAccountDataInRoom)).str();
  const std::string to = keys::KeyWriter(tag_of(Row::kAccountDataInAll)).str();
  const auto rows = snapshot.iterate(kUserData, {from, kv::prefix_range(to).to});
  for (rows->seek_to_first(); rows->valid(); rows->next()) {
    keys::KeyReader key(rows->key());
    key.u8();
    const UserNumber user = key.u64();
    const bool of_room = rows->key().starts_with(from);
    const auto room = of_room ? std::optional<RoomNumber>(key.u64()) : std::nullopt;
    POLDER_TRY(const AccountDataSize size, decode_size(rows->value()));
    POLDER_CHECK(visit(user, room, size));
  }
  return rows->status();
}

Result<std::vector<std::pair<RoomNumber, std::string>>> read_account_data_changes(
    const kv::Snapshot& snapshot, UserNumber user, kv::Position from, kv::Position to) {
  std::vector<std::pair<RoomNumber, std::string>> changes;
  std::set<std::pair<RoomNumber, std::string>> seen;  // a user may have 50,000
  const auto rows =
      snapshot.iterate(kStreams, {change_key(user, from + 1), change_key(user, to + 1)});
  for (rows->seek_to_first(); rows->valid(); rows->next()) {
    keys::ValueReader reader(rows->value(), kFormat);
    const RoomNumber room = reader.varint();
    std::string type(reader.tail());
    POLDER_CHECK(reader.finish("account data stream"));
    std::pair change(room, std::move(type));
    if (seen.insert(change).second) changes.push_back(std::move(change));
  }
  POLDER_CHECK(rows->status());
  return changes;
}

void put_push_rules(kv::Batch& batch, UserNumber user, std::string_view changes,
                    kv::PositionSlot slot, kv::Position replaced) {
  batch.put(kUserData, push_rules_key(user), keys::ValueWriter(kFormat).tail(changes).str());
  put_change(batch, user, 0, kPushRulesType, slot, replaced);
}

Result<std::optional<std::string>> read_push_rules(const kv::Snapshot& snapshot, UserNumber user) {
  POLDER_TRY(const auto bytes, snapshot.get(kUserData, push_rules_key(user)));
  if (!bytes) return std::optional<std::string>();
  keys::ValueReader value(*bytes, kFormat);
  std::string changes(value.tail());
  POLDER_CHECK(value.finish("push rules"));
  return std::optional(std::move(changes));
}

void put_earlier_push_rules(kv::Batch& batch, UserNumber user, std::string_view changes,
                            kv::PositionSlot until) {
  keys::put(batch, kUserData, keys::KeyWriter(kEarlierPushRulesTag).u64(user).position(until),
            keys::ValueWriter(kFormat).tail(changes));
}

void erase_earlier_push_rules(kv::Batch& batch, UserNumber user, kv::Position until) {
  batch.erase(kUserData, keys::KeyWriter(kEarlierPushRulesTag).u64(user).u64(until));
}

Result<std::vector<EarlierPushRules>> read_earlier_push_rules(const kv::Snapshot& snapshot,
                                                              UserNumber user) {
  std::vector<EarlierPushRules> earlier;
  const auto rows = snapshot.iterate(
      kUserData, kv::prefix_range(keys::KeyWriter(kEarlierPushRulesTag).u64(user).str()));
  for (rows->seek_to_first(); rows->valid(); rows->next()) {
    keys::KeyReader key(rows->key());
    key.u8();
    key.u64();
    keys::ValueReader value(rows->value(), kFormat);
    EarlierPushRules row;
    row.until = key.u64();
    row.changes = value.tail();
    POLDER_CHECK(value.finish("earlier push rules"));
    earlier.push_back(std::move(row));
  }
  POLDER_CHECK(rows->status());
  return earlier;
}

void put_filter(kv::Batch& batch, UserNumber user, uint64_t number, std::string_view json) {
  batch.put(kUserData, filter_key(user, number), text_value(json));
}

Result<std::optional<std::string>> read_filter(const kv::Snapshot& snapshot, UserNumber user,
                                               uint64_t number) {
  return read_text(snapshot, kUserData, filter_key(user, number), "filter");
}

Result<uint64_t> last_filter(const kv::Snapshot& snapshot, UserNumber user) {
  const auto rows =
      snapshot.iterate(kUserData, kv::prefix_range(keys::KeyWriter(kFilterTag).u64(user).str()));
  rows->seek_to_last();
  POLDER_CHECK(rows->status());
  if (!rows->valid()) return uint64_t{0};
  keys::KeyReader key(rows->key());
  key.u8();
  key.u64();
  return key.u64();
}

namespace {

std::string request_key(UserNumber user, const DeviceId& device, std::string_view scope,
                        std::string_view id) {
  return keys::KeyWriter(kRequestTag).u64(user).text(device.view()).text(scope).tail(id).str();
}

std::string event_key(UserNumber user, const DeviceId& device, const EventId& event) {
  return keys::KeyWriter(kEventTag).u64(user).text(device.view()).tail(event.view()).str();
}

}  // namespace

void put_transaction(kv::Batch& batch, UserNumber user, const DeviceId& device,
                     std::string_view scope, std::string_view id, std::string_view answer) {
  batch.put(kTransactions, request_key(user, device, scope, id), text_value(answer));
}

Result<std::optional<std::string>> read_transaction(const kv::Snapshot& snapshot, UserNumber user,
                                                    const DeviceId& device, std::string_view scope,
                                                    std::string_view id) {
  return read_text(snapshot, kTransactions, request_key(user, device, scope, id), "transaction");
}

void put_event_transaction(kv::Batch& batch, UserNumber user, const DeviceId& device,
                           const EventId& event, std::string_view id) {
  batch.put(kTransactions, event_key(user, device, event), text_value(id));
}

Result<std::optional<std::string>> read_event_transaction(const kv::Snapshot& snapshot,
                                                          UserNumber user, const DeviceId& device,
                                                          const EventId& event) {
  return read_text(snapshot, kTransactions, event_key(user, device, event),
                   "transaction of an event");
}

}  // namespace polder::stores
