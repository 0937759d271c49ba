// Filters of what a client wants to see.
// https://spec.matrix.org/v1.19/client-server-api/#filtering
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "homeserver/base/json/value.h"
#include "homeserver/base/metrics/cache.h"
#include "homeserver/base/values/glob.h"
#include "homeserver/base/values/mutex.h"
#include "homeserver/protocol/events/event.h"
#include "homeserver/rooms/model/shown_event.h"
#include "homeserver/rooms/read/related.h"

namespace polder::sync {

// Limits of one list. Patterns are tried one after the other with every event.
inline constexpr size_t kFilterEntriesMax = 1000;
inline constexpr size_t kFilterPatternsMax = 50;        // with a wildcard
inline constexpr size_t kFilterPatternBytesMax = 2048;  // of all of them

using FilterNames = std::set<std::string, std::less<>>;

// Types, some of them with `*` for any sequence of characters.
class TypePatterns {
 public:
  // kInvalid for more patterns than there may be.
  static Result<TypePatterns> parse(FilterNames types);
  bool empty() const { return names_.empty() && globs_.empty(); }
  bool matches(std::string_view type) const;

 private:
  FilterNames names_;
  std::vector<base::Glob> globs_;
};

// EventFilter and RoomEventFilter. A list that is absent allows everything; what is excluded is
// excluded even if it is also included.
struct EventFilter {
  std::optional<TypePatterns> types;
  TypePatterns not_types;
  std::optional<FilterNames> senders, rooms;
  FilterNames not_senders, not_rooms;
  std::optional<bool> contains_url;
  std::optional<size_t> limit;
  rooms::RelatedBy related_by;

  bool allows_type(std::string_view type) const;
  bool allows_sender(std::string_view sender) const;
  bool allows_room(std::string_view room) const;
  bool allows(const events::Event& event) const;
  bool allows(const rooms::ShownEvent& event) const;
  // Whether those relate to the event that are asked for.
  Result<bool> allows_related(const rooms::RoomReader& room, std::string_view event) const;
};

// kInvalid, kBadType for a filter whose members have the wrong types.
Result<EventFilter> parse_event_filter(const json::Object& filter);

struct Filter {
  size_t timeline_limit = 10;
  bool lazy_load_members = false;
  bool include_redundant_members = false;
  bool include_leave = false;
  bool unread_thread_notifications = false;
  bool federation_format = false;  // of the rooms' events
  std::optional<FilterNames> rooms;
  FilterNames not_rooms;
  EventFilter account_data;
  EventFilter timeline, state, ephemeral, room_account_data;

  bool allows_room(std::string_view room) const;
};
// event_fields is not applied: "a server may include more fields than were requested".
Result<Filter> parse_filter(const json::Object& filter);

// Of one that was stored when less was checked: what is no filter's is as if it were not there.
Result<Filter> parse_stored_filter(const json::Object& filter);

// Filters that were read, for requests that come again. Thread-safe.
class KnownFilters {
 public:
  // Null if it is not known. The key says which it is: its text, or whose and its id.
  std::shared_ptr<const Filter> find(const std::string& key) const;
  std::shared_ptr<const Filter> keep(const std::string& key, size_t bytes, Filter filter);
  metrics::CacheFigures figures() const;

 private:
  mutable base::Mutex mutex_;
  mutable metrics::CacheFigures figures_ GUARDED_BY(mutex_);
  std::unordered_map<std::string, std::shared_ptr<const Filter>> filters_ GUARDED_BY(mutex_);
  size_t bytes_ GUARDED_BY(mutex_) = 0;
};

}  // namespace polder::sync
