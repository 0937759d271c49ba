// Every column of the database, declared once. A column is never reused for another meaning, and
// its name never changes; docs/formats/columns.md describes keys and values.
#pragma once

#include <array>

#include "storage/kv/kv.h"

namespace polder::stores {

// The order is this program's; on disk columns go by name.
enum Column : kv::ColumnId {
  kMeta,
  kNames,
  kNumbers,
  kEvents,
  kEventRecords,
  kEventIds,
  kTimelines,
  kStateNodes,
  kRooms,
  kMemberships,
  kRelations,
  kReceipts,
  kUsers,
  kUserData,
  kSessions,
  kDeviceKeys,
  kToDevice,
  kStreams,
  kTransactions,
  kDirectory,
  kMedia,
  kFederation,
  kAudit,
  kColumnCount,
};

inline constexpr std::array<kv::ColumnSpec, kColumnCount> kColumns = {{
    {"meta", "schema number, server name, counters", kv::Access::kPoint},
    {"names", "kind, name -> number (interned ids)", kv::Access::kPoint},
    {"numbers", "kind, number -> name", kv::Access::kPoint},
    {"events", "room, event number -> the event's canonical JSON", kv::Access::kScan},
    {"event_records", "room, event number -> standing, position, links, state after",
     kv::Access::kScan},
    {"event_ids", "event id -> room, event number", kv::Access::kPoint},
    {"timelines", "room by position, by depth and position, by time -> event number",
     kv::Access::kScan},
    {"state_nodes", "room, node -> a node of the persistent state maps", kv::Access::kPoint},
    {"rooms", "room -> version, extremities, current state, counters; servers; gaps",
     kv::Access::kPoint},
    {"memberships", "user, room -> membership; the rooms of a user", kv::Access::kScan},
    {"relations", "room, parent, child -> relation type; redactions; room, event -> auth chain",
     kv::Access::kScan},
    {"receipts", "room, user, kind, thread -> receipt", kv::Access::kScan},
    {"users", "user -> account, profile, devices", kv::Access::kPoint},
    {"user_data", "user, room, type -> account data, filters, push rules", kv::Access::kScan},
    {"sessions", "token digest -> session; sessions of a user", kv::Access::kPoint},
    {"device_keys", "user, device -> device, one-time, fallback and cross-signing keys",
     kv::Access::kScan},
    {"to_device", "user, device, position -> message", kv::Access::kScan},
    {"streams", "stream, position -> what changed (device lists, account data, receipts)",
     kv::Access::kScan},
    {"transactions", "user, device, transaction id -> answer; origin, transaction id",
     kv::Access::kPoint},
    {"directory", "alias -> room; room -> aliases; published rooms", kv::Access::kPoint},
    {"media", "media id -> metadata", kv::Access::kPoint},
    {"federation", "destination -> cursor, back-off; server keys", kv::Access::kPoint},
    {"audit", "position -> audit record", kv::Access::kScan},
}};
static_assert(kColumns.size() <= 24,
              "at most 24 column families (docs/architecture.md, decision 17)");

}  // namespace polder::stores
