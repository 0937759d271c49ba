// Every kind of row, declared once (docs/architecture.md, decision 22): where it is, what it
// belongs to, how long it stays, what its key and value are. Tags, what the end of a room, a device
// or a user erases, the form that `polder check` demands and docs/formats/columns.md derive from
// it.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <string_view>

#include "storage/stores/base/columns.h"

namespace polder::stores {

enum class Row : uint8_t {
  kSchema,
  kMigration,
  kLastPosition,
  kName,
  kNumber,
  kEvent,
  kEventRecord,
  kEventByHash,
  kEventByText,
  kEventByStandardHash,
  kTimeline,
  kHistory,
  kNotifying,
  kNotifyingInThread,
  kHighlight,
  kReadUpTo,
  kEventTime,
  kStateNodes,
  kRoom,
  kRoomServer,
  kOutsider,
  kPartialOrigin,
  kPartialEvent,
  kCompleted,
  kPurge,
  kHistoryPurge,
  kMembership,
  kRelation,
  kRedaction,
  kEarlyRedactionByAll,
  kChainPlace,
  kChainEnd,
  kThread,
  kEarlyRedaction,
  kReceipt,
  kAccount,
  kDevice,
  kAccountData,
  kFilter,
  kPushRules,
  kEarlierPushRules,
  kAccountDataInRoom,
  kAccountDataInAll,
  kSession,
  kSessionOfUser,
  kDeviceKeys,
  kOneTimeKey,
  kFallbackKey,
  kCrossSigningKey,
  kSignatureOfOther,
  kRemoteDevices,
  kDeviceListChangeOfUser,
  kClaimedKey,
  kToDeviceMessage,
  kEventStream,
  kAccountDataStream,
  kDeviceListStream,
  kReceiptStream,
  kRoomEntryStream,
  kSignedStream,
  kCursor,
  kRequestAnswer,
  kEventTransaction,
  kReceivedMessage,
  kAlias,
  kAliasOfRoom,
  kMedia,
  kMediaReference,
  kMediaOfUser,
  kFetchedMedia,
  kServerKeys,
  kDispatched,
  kBacklog,
  kForward,
  kOutgoingMessage,
  kListsDispatched,
  kListBacklog,
  kWaitingEvent,
  kLateLeave,
  kAuditRecord,
  kCount,
};
inline constexpr size_t kRowKindCount = static_cast<size_t>(Row::kCount);

enum class Owner : uint8_t { kServer, kRoom, kUser, kOtherServer, kMedia };

enum class Lifetime : uint8_t {
  kForGood,      // as long as the database
  kReplaced,     // until a newer one takes its place
  kUsed,         // until what it stands for is done
  kRoom,         // erased in the batch that purges its room: what makes it one that is here
  kPurge,        // erased by the purge of its room, after that batch
  kEvent,        // erased one by one with the event or membership that it leads to
  kDevice,       // erased with its device
  kDeactivated,  // erased as its user is deactivated with erasure
  kSession,      // until the session ends
  kMedia,        // erased with the media
  kConfigured,   // erased once it is older, or all of its kind are larger, than is configured
};

// One part of a key.
enum class Form : uint8_t {
  kNone,
  kLiteral,  // these very bytes
  kByte,
  kDay,     // 4 bytes, big-endian
  kNumber,  // 8 bytes, big-endian
  kHash,    // 32 bytes
  kText,    // length, bytes
  kRest,    // bytes to the end of the key
};
struct KeyPart {
  Form form = Form::kNone;
  std::string_view name;
};
namespace part {
inline constexpr KeyPart kRoom{Form::kNumber, "room"};
inline constexpr KeyPart kUser{Form::kNumber, "user"};
inline constexpr KeyPart kEvent{Form::kNumber, "event"};
inline constexpr KeyPart kPosition{Form::kNumber, "position"};
inline constexpr KeyPart kDepth{Form::kNumber, "depth"};
inline constexpr KeyPart kDevice{Form::kText, "device"};
inline constexpr KeyPart kLastDevice{Form::kRest, "device"};
inline constexpr KeyPart kAlgorithm{Form::kText, "algorithm"};
inline constexpr KeyPart kKeyName{Form::kRest, "key name"};
inline constexpr KeyPart kServer{Form::kText, "server"};
inline constexpr KeyPart kLastServer{Form::kRest, "server"};
inline constexpr KeyPart kToken{Form::kHash, "SHA-256 of the token"};
inline constexpr KeyPart kEventKey{Form::kText, "event id as in event_ids"};
inline constexpr KeyPart kLastEventKey{Form::kRest, "event id as in event_ids"};
inline constexpr KeyPart kMxc{Form::kRest, "mxc URI"};
}  // namespace part

inline constexpr size_t kKeyPartsMax = 5;
inline constexpr uint8_t kUntagged = 0;
inline constexpr uint8_t kRawValue = 0;

struct RowKind {
  Row row;
  Column column;
  uint8_t tag;  // the first byte of the key; kUntagged: there is none
  std::string_view name;
  Owner owner;
  Lifetime lifetime;
  std::array<KeyPart, kKeyPartsMax> key;  // after the tag; ends with the first that has no form
  std::string_view value;                 // for docs/formats
  uint8_t format;                         // the first byte of the value; kRawValue: there is none
};

constexpr RowKind row_kind(Row row, Column column, uint8_t tag, std::string_view name, Owner owner,
                           Lifetime lifetime, std::initializer_list<KeyPart> parts,
                           std::string_view value, uint8_t format = 1) {
  RowKind kind{row, column, tag, name, owner, lifetime, {}, value, format};
  std::copy(parts.begin(), parts.end(), kind.key.begin());
  return kind;
}

// In the order of columns and tags.
inline constexpr std::array<RowKind, kRowKindCount> kRowKinds = {{
    row_kind(Row::kSchema, kMeta, kUntagged, "schema", Owner::kServer, Lifetime::kForGood,
             {{Form::kLiteral, "schema"}}, "schema number, server name"),
    row_kind(Row::kMigration, kMeta, kUntagged, "migration", Owner::kServer, Lifetime::kUsed,
             {{Form::kLiteral, "migration"}},
             "the migration to the schema's number that is under way: its name, where it goes on, "
             "how many "
             "rows it has seen"),
    row_kind(Row::kLastPosition, kMeta, kUntagged, "last position", Owner::kServer,
             Lifetime::kReplaced, {{Form::kLiteral, std::string_view("\0last_position", 14)}},
             "the last position given, with every group; 8 bytes without a format", kRawValue),

    row_kind(Row::kName, kNames, kUntagged, "interned name", Owner::kServer, Lifetime::kForGood,
             {{Form::kByte, "kind"}, {Form::kRest, "name"}}, "number"),
    row_kind(Row::kNumber, kNumbers, kUntagged, "interned number", Owner::kServer,
             Lifetime::kForGood, {{Form::kByte, "kind"}, {Form::kNumber, "number"}}, "name"),

    row_kind(Row::kEvent, kEvents, kUntagged, "event", Owner::kRoom, Lifetime::kPurge,
             {part::kRoom, part::kEvent}, "the PDU's canonical JSON"),
    row_kind(
        Row::kEventRecord, kEventRecords, kUntagged, "event record", Owner::kRoom, Lifetime::kPurge,
        {part::kRoom, part::kEvent},
        "flags, position, depth, the room's greatest depth (if another), state before, state after "
        "(if another), current state of the room (if another than that), prev events, auth events"),
    row_kind(Row::kEventByHash, kEventIds, 1, "event by id", Owner::kServer, Lifetime::kEvent,
             {{Form::kHash, "hash of a URL-safe id"}}, "room, event"),
    row_kind(Row::kEventByText, kEventIds, 2, "event by textual id", Owner::kServer,
             Lifetime::kEvent, {{Form::kRest, "id"}}, "room, event"),
    row_kind(Row::kEventByStandardHash, kEventIds, 3, "event by id of room version 3",
             Owner::kServer, Lifetime::kEvent, {{Form::kHash, "hash of an id"}}, "room, event"),

    row_kind(Row::kTimeline, kTimelines, 1, "order of sync", Owner::kRoom, Lifetime::kPurge,
             {part::kRoom, part::kPosition}, "event"),
    row_kind(Row::kHistory, kTimelines, 2, "order of history", Owner::kRoom, Lifetime::kPurge,
             {part::kRoom, part::kDepth, part::kPosition}, "event"),
    row_kind(
        Row::kNotifying, kTimelines, 3, "notifying event", Owner::kRoom, Lifetime::kPurge,
        {part::kRoom, part::kPosition},
        "of an event outside of threads that notifies by the default push rules: its number among "
        "those"),
    row_kind(Row::kNotifyingInThread, kTimelines, 4, "notifying event in a thread", Owner::kRoom,
             Lifetime::kPurge, {part::kRoom, part::kPosition},
             "of one in a thread: the thread (the root's id)"),
    row_kind(
        Row::kHighlight, kTimelines, 5, "highlight", Owner::kRoom, Lifetime::kPurge,
        {part::kRoom, {Form::kNumber, "user (0: every member)"}, part::kPosition},
        "a highlight by the default push rules: whether the event is also under 3 or 4, thread"),
    row_kind(Row::kReadUpTo, kTimelines, 6, "read by acting", Owner::kRoom, Lifetime::kPurge,
             {part::kRoom, part::kUser, {Form::kRest, "thread (empty: all)"}},
             "position up to which the user has read by sending or joining"),
    row_kind(Row::kEventTime, kTimelines, 7, "order of what senders say", Owner::kRoom,
             Lifetime::kPurge, {part::kRoom, {Form::kNumber, "time"}, part::kEvent}, "nothing"),

    row_kind(Row::kStateNodes, kStateNodes, kUntagged, "state nodes", Owner::kRoom,
             Lifetime::kPurge, {part::kRoom, {Form::kNumber, "node / 16"}},
             "the nodes of one update of a state map: see [encoding](encoding.md#state-nodes)", 2),

    row_kind(
        Row::kRoom, kRooms, 1, "room", Owner::kRoom, Lifetime::kRoom, {part::kRoom},
        "id, version, extremities, current state, counters, flags, depth before which history was "
        "purged, the state of the edge while the current one is on its way there"),
    row_kind(Row::kRoomServer, kRooms, 2, "server in a room", Owner::kRoom, Lifetime::kRoom,
             {part::kRoom, {Form::kNumber, "server"}}, "joined members of the server"),
    row_kind(Row::kOutsider, kRooms, 3, "outsider", Owner::kRoom, Lifetime::kRoom,
             {part::kRoom, part::kUser},
             "nothing: the user has an invite or knock, and this server is not in the room"),
    row_kind(
        Row::kPartialOrigin, kRooms, 4, "origin of a partial state", Owner::kRoom, Lifetime::kRoom,
        {part::kRoom, part::kEvent},
        "an event that came with a part of its state: since when, servers that may know the rest"),
    row_kind(Row::kPartialEvent, kRooms, 5, "event with a partial state", Owner::kRoom,
             Lifetime::kRoom, {part::kRoom, part::kPosition}, "event"),
    row_kind(Row::kCompleted, kRooms, 6, "completed state", Owner::kRoom, Lifetime::kRoom,
             {part::kRoom},
             "the position at which the state was known in full, after it had been in part"),
    row_kind(
        Row::kPurge, kRooms, 7, "purge", Owner::kRoom, Lifetime::kForGood, {part::kRoom},
        "the room was purged: version, last event, last state node, up to which event its ids are "
        "erased, whether all is"),
    row_kind(
        Row::kHistoryPurge, kRooms, 8, "purge of history", Owner::kRoom, Lifetime::kRoom,
        {part::kRoom},
        "history is purged: before which depth, whether events of this server's users are, up to "
        "which event, up to which that was done, whether all is"),

    row_kind(
        Row::kMembership, kMemberships, kUntagged, "membership", Owner::kUser, Lifetime::kEvent,
        {part::kUser, part::kRoom},
        "membership, event, position, forgotten, stripped state, event id of the invite or knock"),

    row_kind(
        Row::kRelation, kRelations, 1, "relation", Owner::kRoom, Lifetime::kPurge,
        {part::kRoom, {Form::kText, "parent's id as in event_ids"}, part::kDepth, part::kPosition},
        "child event, its sender, rel_type, type"),
    row_kind(Row::kRedaction, kRelations, 2, "redaction", Owner::kRoom, Lifetime::kPurge,
             {part::kRoom, part::kEvent}, "the redaction that applies to it"),
    row_kind(Row::kEarlyRedactionByAll, kRelations, 3, "redaction that came first (old)",
             Owner::kRoom, Lifetime::kPurge, {part::kRoom, part::kLastEventKey},
             "a redaction that came before the event; no longer written"),
    row_kind(
        Row::kChainPlace, kRelations, 4, "place in the chains", Owner::kRoom, Lifetime::kPurge,
        {part::kRoom, {Form::kNumber, "state event"}},
        "its place in the index over auth chains, as distances: to the chain's first event; if "
        "that "
        "is another, to the event before it and to the nearest before it with links (0: none); for "
        "each link to the event's number the event linked to, and from that to its chain's first"),
    row_kind(Row::kChainEnd, kRelations, 5, "end of a chain", Owner::kRoom, Lifetime::kPurge,
             {part::kRoom, {Form::kNumber, "first event of a chain of the index"}},
             "the chain's last event, if another"),
    row_kind(Row::kThread, kRelations, 6, "thread", Owner::kRoom, Lifetime::kPurge,
             {part::kRoom, {Form::kRest, "root's id as in event_ids"}},
             "depth and position after which the thread has no reply"),
    row_kind(Row::kEarlyRedaction, kRelations, 7, "redaction that came first", Owner::kRoom,
             Lifetime::kPurge,
             {part::kRoom,
              part::kEventKey,
              {Form::kRest, "server whose events alone it may redact (empty: everybody's)"}},
             "a redaction that came before the event"),

    row_kind(Row::kReceipt, kReceipts, kUntagged, "receipt", Owner::kRoom, Lifetime::kPurge,
             {part::kRoom, part::kUser, {Form::kText, "type"}, {Form::kRest, "thread"}},
             "position, time, event id"),

    row_kind(Row::kAccount, kUsers, 1, "account", Owner::kUser, Lifetime::kForGood, {part::kUser},
             "flags, created, password hash, profile"),
    row_kind(Row::kDevice, kUsers, 2, "device", Owner::kUser, Lifetime::kDevice,
             {part::kUser, part::kLastDevice}, "name, last seen"),

    row_kind(Row::kAccountData, kUserData, 1, "account data", Owner::kUser, Lifetime::kDeactivated,
             {part::kUser, {Form::kNumber, "room (0: global)"}, {Form::kRest, "type"}},
             "position, content"),
    row_kind(Row::kFilter, kUserData, 2, "filter", Owner::kUser, Lifetime::kDeactivated,
             {part::kUser, {Form::kNumber, "filter number"}}, "JSON"),
    row_kind(Row::kPushRules, kUserData, 3, "push rules", Owner::kUser, Lifetime::kDeactivated,
             {part::kUser}, "what the user changed of the push rules, JSON"),
    row_kind(
        Row::kEarlierPushRules, kUserData, 4, "earlier push rules", Owner::kUser,
        Lifetime::kDeactivated, {part::kUser, part::kPosition},
        "the same, of the rules that were in force up to the position; nothing: the default ones"),
    row_kind(Row::kAccountDataInRoom, kUserData, 5, "size of account data in a room", Owner::kUser,
             Lifetime::kDeactivated, {part::kUser, {Form::kNumber, "room (0: global)"}},
             "how many types the account data of the room has, bytes of types and contents"),
    row_kind(Row::kAccountDataInAll, kUserData, 6, "size of account data", Owner::kUser,
             Lifetime::kDeactivated, {part::kUser}, "the same of all rooms and of what is global"),

    row_kind(Row::kSession, kSessions, 1, "session", Owner::kUser, Lifetime::kSession,
             {part::kToken}, "user, device, kind, expiry, scope, parent, identity provider"),
    row_kind(Row::kSessionOfUser, kSessions, 2, "session of a user", Owner::kUser,
             Lifetime::kSession, {part::kUser, part::kToken}, "nothing"),

    row_kind(Row::kDeviceKeys, kDeviceKeys, 1, "device keys", Owner::kUser, Lifetime::kDevice,
             {part::kUser, part::kLastDevice}, "a local device's keys, JSON"),
    row_kind(Row::kOneTimeKey, kDeviceKeys, 2, "one-time key", Owner::kUser, Lifetime::kDevice,
             {part::kUser, part::kDevice, part::kAlgorithm, part::kKeyName},
             "position of its upload, JSON", 2),
    row_kind(Row::kFallbackKey, kDeviceKeys, 3, "fallback key", Owner::kUser, Lifetime::kDevice,
             {part::kUser, part::kDevice, {Form::kRest, "algorithm"}}, "id, used, JSON"),
    row_kind(Row::kCrossSigningKey, kDeviceKeys, 4, "cross-signing key", Owner::kUser,
             Lifetime::kReplaced, {part::kUser, {Form::kRest, "usage"}}, "JSON"),
    row_kind(Row::kSignatureOfOther, kDeviceKeys, 5, "signature of another user's key",
             Owner::kUser, Lifetime::kReplaced, {part::kUser, {Form::kRest, "other user's id"}},
             "what the user signed of the other's master key, JSON"),
    row_kind(
        Row::kRemoteDevices, kDeviceKeys, 6, "devices of a remote user", Owner::kOtherServer,
        Lifetime::kUsed, {part::kUser},
        "stream id, position, room and local user shared then, JSON as the user's server sent it"),
    row_kind(Row::kDeviceListChangeOfUser, kDeviceKeys, 7, "device list change of a user",
             Owner::kUser, Lifetime::kReplaced, {part::kUser, part::kPosition},
             "device that changed; nothing: cross-signing keys"),
    row_kind(Row::kClaimedKey, kDeviceKeys, 8, "claimed one-time key", Owner::kUser,
             Lifetime::kDevice, {part::kUser, part::kDevice, part::kAlgorithm, part::kKeyName},
             "position of the claim"),

    row_kind(Row::kToDeviceMessage, kToDevice, kUntagged, "message to a device", Owner::kUser,
             Lifetime::kDevice, {part::kUser, part::kDevice, part::kPosition}, "JSON"),

    row_kind(Row::kEventStream, kStreams, 1, "stream of events", Owner::kServer, Lifetime::kEvent,
             {part::kPosition}, "every event with a position: room, event"),
    row_kind(Row::kAccountDataStream, kStreams, 2, "stream of account data", Owner::kUser,
             Lifetime::kDeactivated, {part::kUser, part::kPosition},
             "account data that changed: room, type (m.push_rules: the push rules)"),
    row_kind(Row::kDeviceListStream, kStreams, 3, "stream of device lists", Owner::kServer,
             Lifetime::kReplaced, {part::kPosition}, "device list that changed: user, device"),
    row_kind(Row::kReceiptStream, kStreams, 4, "stream of receipts", Owner::kRoom, Lifetime::kPurge,
             {part::kRoom, part::kPosition}, "receipt that changed: user, type, thread"),
    row_kind(Row::kRoomEntryStream, kStreams, 5, "stream of room entries", Owner::kServer,
             Lifetime::kUsed, {part::kPosition, part::kUser},
             "room that a local user entered, until other servers know their devices"),
    row_kind(Row::kSignedStream, kStreams, 6, "stream of signed users", Owner::kUser,
             Lifetime::kForGood, {part::kUser, part::kPosition},
             "another user, whose master key the user signed"),
    row_kind(Row::kCursor, kStreams, 7, "cursor of a follower", Owner::kServer, Lifetime::kReplaced,
             {{Form::kRest, "name"}}, "up to where the follower of the log has handled everything"),

    row_kind(Row::kRequestAnswer, kTransactions, 1, "answer to a transaction id", Owner::kUser,
             Lifetime::kDevice,
             {part::kUser,
              part::kDevice,
              {Form::kText, "path of the request without the id"},
              {Form::kRest, "transaction id"}},
             "the answer"),
    row_kind(Row::kEventTransaction, kTransactions, 2, "transaction id of an event", Owner::kUser,
             Lifetime::kDevice, {part::kUser, part::kDevice, {Form::kRest, "event id"}},
             "the transaction id that sent it"),
    row_kind(Row::kReceivedMessage, kTransactions, 3, "received message to devices",
             Owner::kOtherServer, Lifetime::kUsed,
             {part::kServer, {Form::kDay, "day since the epoch"}, {Form::kRest, "message id"}},
             "nothing: the message to devices came from that server"),

    row_kind(Row::kAlias, kDirectory, 1, "alias", Owner::kServer, Lifetime::kUsed,
             {{Form::kRest, "alias"}}, "room id, creator"),
    row_kind(Row::kAliasOfRoom, kDirectory, 2, "alias of a room", Owner::kServer, Lifetime::kUsed,
             {{Form::kText, "room id"}, {Form::kRest, "alias"}}, "nothing"),

    row_kind(Row::kMedia, kMedia, 1, "media", Owner::kMedia, Lifetime::kMedia,
             {part::kServer, {Form::kRest, "media id"}},
             "uploader (0: fetched), created, expires (0: content is there); then SHA-256, size, "
             "content "
             "type, file name"),
    row_kind(Row::kMediaReference, kMedia, 2, "reference to a file", Owner::kMedia,
             Lifetime::kMedia, {{Form::kHash, "SHA-256"}, part::kMxc},
             "nothing: the row refers to the file"),
    row_kind(Row::kMediaOfUser, kMedia, 3, "media of a user", Owner::kMedia, Lifetime::kMedia,
             {part::kUser, part::kMxc}, "whether its content is still to come, size"),
    row_kind(Row::kFetchedMedia, kMedia, 4, "fetched media", Owner::kMedia, Lifetime::kMedia,
             {{Form::kNumber, "time fetched"}, part::kMxc}, "false, size"),

    row_kind(Row::kServerKeys, kFederation, 1, "keys of a server", Owner::kOtherServer,
             Lifetime::kReplaced, {part::kLastServer},
             "the keys that it signs with, as it or a notary gave them"),
    row_kind(Row::kDispatched, kFederation, 2, "dispatched events", Owner::kServer,
             Lifetime::kReplaced, {}, "up to where events are handed out to destinations"),
    row_kind(Row::kBacklog, kFederation, 3, "backlog of a destination", Owner::kOtherServer,
             Lifetime::kUsed, {part::kLastServer},
             "up to where it has got them, if not all; how many after that are in the transaction "
             "that it "
             "has not answered (if any)"),
    row_kind(Row::kForward, kFederation, 4, "membership to pass on", Owner::kOtherServer,
             Lifetime::kUsed, {{Form::kRest, "event id"}},
             "nothing: a membership that is still to be passed on"),
    row_kind(Row::kOutgoingMessage, kFederation, 8, "message to devices elsewhere",
             Owner::kOtherServer, Lifetime::kUsed, {part::kServer, part::kPosition}, "JSON"),
    row_kind(Row::kListsDispatched, kFederation, 9, "dispatched device lists", Owner::kServer,
             Lifetime::kReplaced, {},
             "up to where it is known which servers get changed device lists"),
    row_kind(Row::kListBacklog, kFederation, 10, "device lists of a destination",
             Owner::kOtherServer, Lifetime::kUsed, {part::kLastServer},
             "up to where the server has got them, if not all"),
    row_kind(Row::kWaitingEvent, kFederation, 11, "event that waits", Owner::kOtherServer,
             Lifetime::kUsed, {part::kServer, {Form::kRest, "event id"}},
             "an event of that server that cannot be judged yet: room id, depth, since when, PDU"),
    row_kind(Row::kLateLeave, kFederation, 12, "late leave", Owner::kOtherServer, Lifetime::kUsed,
             {{Form::kText, "user id"}, {Form::kRest, "room id"}},
             "a leave that no server has taken yet: since when, its content, servers"),

    row_kind(
        Row::kAuditRecord, kAudit, kUntagged, "audit record", Owner::kServer, Lifetime::kConfigured,
        {part::kPosition},
        "what was refused by the policy, or permitted by a privilege: when, kind of actor, who, "
        "device, act, whether it was permitted, the privilege or the rule, room, target, event, "
        "how "
        "many refusals before it were not recorded"),
}};

constexpr bool rows_are_in_order() {
  for (size_t i = 0; i < kRowKindCount; ++i) {
    if (kRowKinds[i].row != static_cast<Row>(i)) return false;
    if (i == 0 || kRowKinds[i].tag == kUntagged) continue;
    const RowKind& before = kRowKinds[i - 1];
    if (before.column == kRowKinds[i].column && before.tag >= kRowKinds[i].tag) return false;
  }
  return true;
}
static_assert(rows_are_in_order(), "kRowKinds is in the order of Row, which is that of tags");

// What ends with a room, a user or a device is found by the number that its keys begin with.
constexpr bool rows_are_found_by_their_owners() {
  for (const RowKind& kind : kRowKinds) {
    const bool of_room = kind.owner == Owner::kRoom;
    const bool ends_with_room =
        kind.lifetime == Lifetime::kRoom || kind.lifetime == Lifetime::kPurge;
    const bool ends_with_user =
        kind.lifetime == Lifetime::kDevice || kind.lifetime == Lifetime::kDeactivated;
    if (of_room != (ends_with_room || kind.row == Row::kPurge)) return false;
    if (of_room && kind.key[0].name != part::kRoom.name) return false;
    if (ends_with_user && kind.key[0].name != part::kUser.name) return false;
  }
  return true;
}
static_assert(rows_are_found_by_their_owners());

constexpr const RowKind& kind_of(Row row) {
  return kRowKinds[static_cast<size_t>(row)];
}
constexpr uint8_t tag_of(Row row) {
  return kind_of(row).tag;
}

}  // namespace polder::stores
