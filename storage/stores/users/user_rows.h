// Rows of local users: accounts, devices, sessions, account data, filters, transaction ids.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "homeserver/base/values/bytes.h"
#include "homeserver/base/values/ids.h"
#include "storage/kv/kv.h"
#include "storage/stores/base/names.h"

namespace polder::stores {

struct AccountRow {
  std::string password_hash;  // empty: no password login
  bool admin = false;
  bool guest = false;
  bool deactivated = false;
  bool erased = false;   // who was no member when the user's events came gets them redacted
  bool leaving = false;  // deactivated, and perhaps not out of all rooms yet
  int64_t created_ms = 0;
  std::string displayname;  // empty: none
  std::string avatar_url;
};
void put_account(kv::Batch& batch, UserNumber user, const AccountRow& row);
Result<std::optional<AccountRow>> read_account(const kv::Snapshot& snapshot, UserNumber user);
Status for_each_account(const kv::Snapshot& snapshot,
                        const std::function<Status(UserNumber, const AccountRow&)>& visit);
// Account data, filters and push rules.
void erase_user_data(kv::Batch& batch, UserNumber user);

struct DeviceRow {
  std::string display_name;
  int64_t last_seen_ms = 0;
  std::string last_seen_ip;
};
void put_device(kv::Batch& batch, UserNumber user, const DeviceId& device, const DeviceRow& row);
// And all that stays with a device: keys, messages to it, answers to its transactions.
void erase_device(kv::Batch& batch, UserNumber user, const DeviceId& device);
// What came for a device while it ended, or stayed of those that ended before it was erased, if
// there is anything: for a new device, which may have the same id.
Status erase_rest_of_device(const kv::Snapshot& snapshot, kv::Batch& batch, UserNumber user,
                            const DeviceId& device);
Result<std::optional<DeviceRow>> read_device(const kv::Snapshot& snapshot, UserNumber user,
                                             const DeviceId& device);
Result<std::vector<std::pair<DeviceId, DeviceRow>>> read_devices(const kv::Snapshot& snapshot,
                                                                 UserNumber user);

// Whoever holds the token with this digest is this device (docs/architecture.md, decision 11).
struct SessionRow {
  UserNumber user = 0;
  DeviceId device;
  uint64_t kind = 0;       // 1: access token
  int64_t expires_ms = 0;  // 0: never
  std::string scope;       // of OAuth; empty: everything
  std::string parent;      // digest of the session that this one came from, in hexadecimal
  std::string provider;    // identity provider; empty: this server
};
void put_session(kv::Batch& batch, const Digest& token, const SessionRow& row);
void erase_session(kv::Batch& batch, const Digest& token, UserNumber user);
Result<std::optional<SessionRow>> read_session(const kv::Snapshot& snapshot, const Digest& token);
Result<std::vector<std::pair<Digest, SessionRow>>> read_sessions_of(const kv::Snapshot& snapshot,
                                                                    UserNumber user);

// Every row by token, and every row by user: each session has one of both.
Status for_each_session(const kv::Snapshot& snapshot,
                        const std::function<Status(const Digest&, const SessionRow&)>& by_token,
                        const std::function<Status(UserNumber, const Digest&)>& by_user);

// Account data: global (room 0) or of a room.
struct AccountDataRow {
  std::string type;
  std::string content;  // JSON object
  kv::Position position = 0;
};
// `replaced` is the position of what was there before (0: nothing), so that the stream of changes
// has each type once.
void put_account_data(kv::Batch& batch, UserNumber user, RoomNumber room, std::string_view type,
                      std::string_view content, kv::PositionSlot slot, kv::Position replaced);
Result<std::optional<AccountDataRow>> read_account_data(const kv::Snapshot& snapshot,
                                                        UserNumber user, RoomNumber room,
                                                        std::string_view type);
Result<std::vector<AccountDataRow>> read_all_account_data(const kv::Snapshot& snapshot,
                                                          UserNumber user, RoomNumber room);
// How much there is of it: written with every change, so that nobody has to read all.
struct AccountDataSize {
  size_t types = 0;
  size_t bytes = 0;  // of types and contents
  friend bool operator==(const AccountDataSize&, const AccountDataSize&) = default;
};
// Of the room (0: global), and of everything that the user has.
struct AccountDataSizes {
  AccountDataSize of_room;
  AccountDataSize all;
};
void put_account_data_sizes(kv::Batch& batch, UserNumber user, RoomNumber room,
                            const AccountDataSizes& sizes);
// Two rows, but for account data that has not changed since the sizes are written: then all of it.
Result<AccountDataSizes> read_account_data_sizes(const kv::Snapshot& snapshot, UserNumber user,
                                                 RoomNumber room);
// The same by reading all of it; of no room: of everything.
Result<AccountDataSize> measure_account_data(const kv::Snapshot& snapshot, UserNumber user,
                                             std::optional<RoomNumber> room);
// Every size that is written.
Status for_each_account_data_size(
    const kv::Snapshot& snapshot,
    const std::function<Status(UserNumber, std::optional<RoomNumber>, AccountDataSize)>& visit);
// What changed with from < position <= to: room and type, oldest first.
Result<std::vector<std::pair<RoomNumber, std::string>>> read_account_data_changes(
    const kv::Snapshot& snapshot, UserNumber user, kv::Position from, kv::Position to);

// What a user changed of the push rules (JSON), told of as a change of the account data
// m.push_rules.
inline constexpr std::string_view kPushRulesType = "m.push_rules";
void put_push_rules(kv::Batch& batch, UserNumber user, std::string_view changes,
                    kv::PositionSlot slot, kv::Position replaced);
Result<std::optional<std::string>> read_push_rules(const kv::Snapshot& snapshot, UserNumber user);
// The changes by which the user's push rules were made of the default ones up to a position.
struct EarlierPushRules {
  kv::Position until = 0;
  std::string changes;  // empty: none
};
void put_earlier_push_rules(kv::Batch& batch, UserNumber user, std::string_view changes,
                            kv::PositionSlot until);
void erase_earlier_push_rules(kv::Batch& batch, UserNumber user, kv::Position until);
Result<std::vector<EarlierPushRules>> read_earlier_push_rules(const kv::Snapshot& snapshot,
                                                              UserNumber user);  // oldest first

void put_filter(kv::Batch& batch, UserNumber user, uint64_t number, std::string_view json);
Result<std::optional<std::string>> read_filter(const kv::Snapshot& snapshot, UserNumber user,
                                               uint64_t number);
Result<uint64_t> last_filter(const kv::Snapshot& snapshot, UserNumber user);

// What a device was answered for a transaction id.
void put_transaction(kv::Batch& batch, UserNumber user, const DeviceId& device,
                     std::string_view scope, std::string_view id, std::string_view answer);
Result<std::optional<std::string>> read_transaction(const kv::Snapshot& snapshot, UserNumber user,
                                                    const DeviceId& device, std::string_view scope,
                                                    std::string_view id);

// Which device sent an event with which transaction id: for `unsigned.transaction_id`.
void put_event_transaction(kv::Batch& batch, UserNumber user, const DeviceId& device,
                           const EventId& event, std::string_view id);
Result<std::optional<std::string>> read_event_transaction(const kv::Snapshot& snapshot,
                                                          UserNumber user, const DeviceId& device,
                                                          const EventId& event);

}  // namespace polder::stores
