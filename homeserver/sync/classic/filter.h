// Filters of what a client wants to see.
// https://spec.matrix.org/v1.19/client-server-api/#filtering
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "homeserver/base/json/value.h"
#include "homeserver/base/values/glob.h"
#include "homeserver/protocol/events/event.h"
#include "homeserver/rooms/shown_event.h"

namespace polder::sync {

// EventFilter and RoomEventFilter. A list that is absent allows everything; what is excluded is
// excluded even if it is also included.
struct EventFilter {
  std::optional<std::vector<base::Glob>> types;
  std::vector<base::Glob> not_types;
  std::optional<std::vector<std::string>> senders, rooms;
  std::vector<std::string> not_senders, not_rooms;
  std::optional<bool> contains_url;
  std::optional<size_t> limit;

  // A `*` in a type stands for any sequence of characters.
  bool allows_type(std::string_view type) const;
  bool allows_sender(std::string_view sender) const;
  bool allows_room(std::string_view room) const;
  bool allows(const events::Event& event) const;
  bool allows(const rooms::ShownEvent& event) const;
};

// kInvalid, kBadType for a filter whose members have the wrong types.
Result<EventFilter> parse_event_filter(const json::Object& filter);

struct Filter {
  size_t timeline_limit = 10;
  bool lazy_load_members = false;
  bool include_leave = false;
  bool unread_thread_notifications = false;
  std::optional<std::vector<std::string>> rooms;
  std::vector<std::string> not_rooms;
  EventFilter account_data;
  EventFilter timeline, state, ephemeral, room_account_data;

  bool allows_room(std::string_view room) const;
};
// event_fields is not applied ("a server may include more fields than were requested"), nor is
// event_format: clients get their own format.
Result<Filter> parse_filter(const json::Object& filter);

}  // namespace polder::sync
