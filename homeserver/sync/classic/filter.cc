#include "homeserver/sync/classic/filter.h"

#include <algorithm>

#include "homeserver/base/json/reader.h"

namespace polder::sync {
namespace {

constexpr int64_t kLimitMax = 1000;
constexpr size_t kKnownBytesMax = size_t{4} << 20;  // of filters' texts
// "A '*' can be used as a wildcard to match any sequence of characters."
constexpr base::GlobSyntax kTypes{
    .question_mark = false, .folds_case = false, .size_max = 2 * events::kMaxKeyBytes + 1};

Result<std::optional<FilterNames>> list_of(const json::Object& filter, std::string_view name) {
  const json::Value* value = filter.find(name);
  if (value == nullptr) return std::optional<FilterNames>();
  const json::Array* array = value->as_array();
  if (array == nullptr || array->size() > kFilterEntriesMax)
    return fail(ErrorCode::kInvalid, "The filter's " + std::string(name) + " must be a list");
  FilterNames list;
  for (const json::Value& entry : *array) {
    if (entry.as_string() == nullptr)
      return fail(ErrorCode::kInvalid, "The filter's " + std::string(name) + " must hold strings");
    list.insert(*entry.as_string());
  }
  return std::optional(std::move(list));
}

bool is_user(const std::string& name) {
  return UserId::parse(name).ok();
}

Status check_rooms(const std::optional<FilterNames>& rooms, const FilterNames& not_rooms) {
  const auto is_room = [](const std::string& name) { return RoomId::parse(name).ok(); };
  if (std::ranges::all_of(not_rooms, is_room) && (!rooms || std::ranges::all_of(*rooms, is_room)))
    return {};
  return fail(ErrorCode::kInvalid, "The filter's rooms must be room ids");
}

Result<FilterNames> exclusions_of(const json::Object& filter, std::string_view name) {
  POLDER_TRY(auto list, list_of(filter, name));
  return list ? *std::move(list) : FilterNames();
}

Result<std::optional<size_t>> limit_of(const json::Object& filter) {
  const json::Value* value = filter.find("limit");
  if (value == nullptr) return std::optional<size_t>();
  const auto limit = filter.find_int("limit");
  if (!limit || *limit < 0)
    return fail(ErrorCode::kInvalid, "The filter's limit must be a positive number");
  return std::optional(static_cast<size_t>(std::min(*limit, kLimitMax)));
}

bool included(const std::optional<FilterNames>& list, std::string_view name) {
  return !list || list->contains(name);
}

Status parse_part(const json::Object& filter, std::string_view name, EventFilter& part) {
  const json::Value* value = filter.find(name);
  if (value == nullptr) return {};
  if (value->as_object() == nullptr)
    return fail(ErrorCode::kInvalid, "The filter's " + std::string(name) + " must be an object");
  POLDER_TRY(part, parse_event_filter(*value->as_object()));
  return {};
}

// Of a part; they are booleans, as parse_event_filter() has seen to.
constexpr std::string_view kFlags[] = {"lazy_load_members", "include_redundant_members",
                                       "unread_thread_notifications"};
bool flag(const json::Object& filter, std::string_view part, std::string_view name) {
  const json::Object* object = filter.find_object(part);
  return object != nullptr && object->find_bool(name).value_or(false);
}

}  // namespace

Result<TypePatterns> TypePatterns::parse(FilterNames types) {
  TypePatterns patterns;
  size_t bytes = 0;
  for (const std::string& type : types) {
    if (type.find('*') == std::string::npos) continue;
    bytes += type.size();
    auto glob = base::Glob::parse(type, kTypes);
    if (glob.ok()) patterns.globs_.push_back(*std::move(glob));  // else no type is as long
  }
  if (patterns.globs_.size() > kFilterPatternsMax || bytes > kFilterPatternBytesMax)
    return fail(ErrorCode::kInvalid, "The filter has too many types with wildcards");
  std::erase_if(types, [](const std::string& type) { return type.find('*') != std::string::npos; });
  patterns.names_ = std::move(types);
  return patterns;
}

bool TypePatterns::matches(std::string_view type) const {
  if (names_.contains(type)) return true;
  if (globs_.empty()) return false;
  const std::u32string text = base::characters(type);
  return std::ranges::any_of(globs_, [&](const base::Glob& glob) { return glob.matches(text); });
}

bool EventFilter::allows_type(std::string_view type) const {
  return (!types || types->matches(type)) && !not_types.matches(type);
}

bool EventFilter::allows_sender(std::string_view sender) const {
  return included(senders, sender) && !not_senders.contains(sender);
}

bool EventFilter::allows_room(std::string_view room) const {
  return included(rooms, room) && !not_rooms.contains(room);
}

bool EventFilter::allows(const events::Event& event) const {
  if (!allows_type(event.type()) || !allows_sender(event.sender().view())) return false;
  return !contains_url || event.content().contains("url") == *contains_url;
}

bool EventFilter::allows(const rooms::ShownEvent& event) const {
  if (!allows_type(event.type()) || !allows_sender(event.sender())) return false;
  return !contains_url || event.contains_url() == *contains_url;
}

Result<bool> EventFilter::allows_related(const rooms::RoomReader& room,
                                         std::string_view event) const {
  if (!related_by.any()) return true;
  return rooms::is_related_by(room, EventId::trusted(std::string(event)), related_by);
}

Result<EventFilter> parse_event_filter(const json::Object& filter) {
  EventFilter parsed;
  POLDER_TRY(auto types, list_of(filter, "types"));
  if (types) {
    POLDER_TRY(parsed.types, TypePatterns::parse(*std::move(types)));
  }
  POLDER_TRY(parsed.senders, list_of(filter, "senders"));
  POLDER_TRY(parsed.rooms, list_of(filter, "rooms"));
  POLDER_TRY(parsed.related_by.rel_types, list_of(filter, "related_by_rel_types"));
  POLDER_TRY(parsed.related_by.senders, list_of(filter, "related_by_senders"));
  POLDER_TRY(auto not_types, exclusions_of(filter, "not_types"));
  POLDER_TRY(parsed.not_types, TypePatterns::parse(std::move(not_types)));
  POLDER_TRY(parsed.not_senders, exclusions_of(filter, "not_senders"));
  POLDER_TRY(parsed.not_rooms, exclusions_of(filter, "not_rooms"));
  POLDER_CHECK(check_rooms(parsed.rooms, parsed.not_rooms));
  POLDER_TRY(parsed.limit, limit_of(filter));
  for (const auto* users : {&parsed.not_senders, parsed.senders ? &*parsed.senders : nullptr}) {
    if (users != nullptr && !std::ranges::all_of(*users, is_user))
      return fail(ErrorCode::kInvalid, "The filter's senders must be user ids");
  }
  const json::Reader in(filter);
  POLDER_TRY(parsed.contains_url, in.optional_boolean("contains_url"));
  for (const std::string_view name : kFlags)
    POLDER_CHECK(in.optional_boolean(name));
  return parsed;
}

bool Filter::allows_room(std::string_view room) const {
  return included(rooms, room) && !not_rooms.contains(room);
}

Result<Filter> parse_filter(const json::Object& filter) {
  Filter parsed;
  POLDER_CHECK(parse_part(filter, "account_data", parsed.account_data));
  EventFilter presence;  // of which nothing is told
  POLDER_CHECK(parse_part(filter, "presence", presence));
  const json::Reader in(filter);
  POLDER_CHECK(in.optional_strings("event_fields"));
  POLDER_TRY(const auto format, in.one_of("event_format", {"client", "federation"}, "client"));
  parsed.federation_format = format == "federation";
  const json::Value* value = filter.find("room");
  if (value == nullptr) return parsed;
  if (value->as_object() == nullptr)
    return fail(ErrorCode::kInvalid, "The filter's room must be an object");
  const json::Object& room = *value->as_object();
  POLDER_TRY(parsed.rooms, list_of(room, "rooms"));
  POLDER_TRY(parsed.not_rooms, exclusions_of(room, "not_rooms"));
  POLDER_CHECK(check_rooms(parsed.rooms, parsed.not_rooms));
  POLDER_CHECK(parse_part(room, "timeline", parsed.timeline));
  POLDER_CHECK(parse_part(room, "state", parsed.state));
  POLDER_CHECK(parse_part(room, "ephemeral", parsed.ephemeral));
  POLDER_CHECK(parse_part(room, "account_data", parsed.room_account_data));
  parsed.timeline_limit = parsed.timeline.limit.value_or(parsed.timeline_limit);
  POLDER_TRY(parsed.include_leave, json::Reader(room).boolean_or("include_leave", false));
  parsed.lazy_load_members =
      flag(room, "state", "lazy_load_members") || flag(room, "timeline", "lazy_load_members");
  parsed.include_redundant_members = flag(room, "state", "include_redundant_members") ||
                                     flag(room, "timeline", "include_redundant_members");
  parsed.unread_thread_notifications = flag(room, "timeline", "unread_thread_notifications");
  return parsed;
}

namespace {

// The members that make a filter each by itself.
template <class Parse>
json::Object usable_members(const json::Object& object, Parse parse) {
  json::Object kept;
  for (const auto& [name, value] : object) {
    if (parse(json::Object{{name, value}}).ok()) kept.set(name, value);
  }
  return kept;
}

// Those that are filters of events lose only what is wrong in them.
json::Object without_wrong_members(json::Object object) {
  for (const std::string_view part :
       {"account_data", "presence", "timeline", "state", "ephemeral"}) {
    json::Value* value = object.find(part);
    if (value != nullptr && value->as_object() != nullptr)
      *value = usable_members(*value->as_object(), parse_event_filter);
  }
  return object;
}

}  // namespace

Result<Filter> parse_stored_filter(const json::Object& filter) {
  json::Object usable = without_wrong_members(filter);
  json::Value* room = usable.find("room");
  if (room != nullptr && room->as_object() != nullptr) {
    *room = usable_members(without_wrong_members(*room->as_object()),
                           [](const json::Object& part) { return parse_filter({{"room", part}}); });
  }
  return parse_filter(usable_members(usable, parse_filter));
}

std::shared_ptr<const Filter> KnownFilters::find(const std::string& key) const {
  const base::Lock lock(mutex_);
  const auto known = filters_.find(key);
  figures_.count(known != filters_.end());
  return known == filters_.end() ? nullptr : known->second;
}

std::shared_ptr<const Filter> KnownFilters::keep(const std::string& key, size_t bytes,
                                                 Filter filter) {
  auto kept = std::make_shared<const Filter>(std::move(filter));
  const base::Lock lock(mutex_);
  if (bytes_ > kKnownBytesMax) {
    figures_.evictions += filters_.size();
    filters_.clear();
    bytes_ = 0;
  }
  bytes_ += key.size() + bytes + sizeof(Filter);
  filters_[key] = kept;
  return kept;
}

metrics::CacheFigures KnownFilters::figures() const {
  const base::Lock lock(mutex_);
  metrics::CacheFigures figures = figures_;
  figures.entries = filters_.size();
  figures.bytes = bytes_;
  return figures;
}

}  // namespace polder::sync
