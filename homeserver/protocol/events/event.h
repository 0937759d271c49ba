// A persistent event (PDU) as a value: parsed and format-checked once, then immutable and shared.
// https://spec.matrix.org/v1.19/server-server-api/#pdus and the event format of each room version.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "homeserver/base/crypto/keys.h"
#include "homeserver/base/json/value.h"
#include "homeserver/base/values/ids.h"
#include "homeserver/protocol/events/room_version.h"

namespace polder::events {

inline constexpr size_t kMaxEventBytes = 65536;  // of the canonical JSON, signatures included
inline constexpr size_t kMaxKeyBytes = 255;      // of type and state key
inline constexpr size_t kMaxPrevEvents = 20;
inline constexpr size_t kMaxAuthEvents = 10;

class Event;
using EventPtr = std::shared_ptr<const Event>;

// What of an event is addressed by state: its type and state key.
struct StateKeyView {
  std::string_view type;
  std::string_view key;
  friend auto operator<=>(const StateKeyView&, const StateKeyView&) = default;
};

class Event {
 public:
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  // From a PDU as another server sent it, or from stored bytes. `unsigned` is dropped; for hashed
  // event ids the id is computed. Checks the format of the room version: required keys and types,
  // ids, sizes (65536 bytes; 255 bytes for sender, type, state_key, room_id and event_id),
  // integers, numbers of prev and auth events. Signatures and hashes are not checked here
  // (signing.h).
  static Result<EventPtr> parse(std::string_view pdu, const RoomVersionRules& rules);
  static Result<EventPtr> parse(json::Object pdu, const RoomVersionRules& rules);

  const EventId& id() const { return id_; }
  // For a create event of version 12, whose JSON has none: the id that follows from its hash.
  const RoomId& room_id() const { return room_id_; }
  const UserId& sender() const { return sender_; }
  const std::string& type() const { return type_; }
  bool is_state() const { return state_key_.has_value(); }
  const std::optional<std::string>& state_key() const { return state_key_; }
  bool is(std::string_view type) const { return type_ == type; }
  bool is_state(std::string_view type, std::string_view key) const {
    return state_key_ && *state_key_ == key && type_ == type;
  }
  int64_t origin_server_ts() const { return origin_server_ts_; }
  int64_t depth() const { return depth_; }
  const std::vector<EventId>& prev_events() const { return prev_events_; }
  // As in the JSON: from version 12 on, without the create event, which is implied by the room id.
  const std::vector<EventId>& auth_events() const { return auth_events_; }
  const json::Object& content() const { return *content_; }
  // The event that a redaction redacts: top-level `redacts` before version 11, content.redacts
  // from 11.
  std::optional<EventId> redacts() const;
  // Of an m.room.member event; empty if absent or no string.
  std::string_view membership() const { return membership_; }

  // Everything but `unsigned` and `age_ts`. An `event_id` in it is the event's in versions 1 and 2
  // only; id() is right always.
  const json::Object& object() const { return object_; }
  // The canonical JSON of object(): what is stored, sent and signed (with signatures).
  const std::string& json() const { return json_; }
  const RoomVersionRules& rules() const { return *rules_; }

 private:
  Event() = default;

  const RoomVersionRules* rules_ = nullptr;
  json::Object object_;
  std::string json_;
  const json::Object* content_ = nullptr;  // within object_
  std::string_view membership_;            // within content_
  EventId id_;
  RoomId room_id_;
  UserId sender_;
  std::string type_;
  std::optional<std::string> state_key_;
  int64_t origin_server_ts_ = 0;
  int64_t depth_ = 0;
  std::vector<EventId> prev_events_;
  std::vector<EventId> auth_events_;
};

// What the local server puts into an event of its own.
struct EventDraft {
  RoomId room_id{};  // empty for the create event of a version whose room id is its hash
  UserId sender{};
  std::string type{};
  std::optional<std::string> state_key{};
  json::Object content{};
  std::optional<EventId> redacts{};
  std::vector<EventId> prev_events{};
  std::vector<EventId> auth_events{};
  int64_t depth = 1;
  int64_t origin_server_ts = 0;
};

// The unsigned PDU (no hashes, no signatures) of a draft; versions 1 and 2 take their event id from
// `opaque_id`. The result is what make_join and its kin hand out, and what sign_event() completes.
json::Object make_pdu(const EventDraft& draft, const RoomVersionRules& rules,
                      std::string_view opaque_id);

}  // namespace polder::events
