#include "homeserver/sync/classic/filter.h"

#include <algorithm>

#include "homeserver/base/json/reader.h"

namespace polder::sync {
namespace {

constexpr int64_t kLimitMax = 1000;
constexpr size_t kEntriesMax = 1000;  // of one list
// "A '*' can be used as a wildcard to match any sequence of characters."
constexpr base::GlobSyntax kTypes{
    .question_mark = false, .folds_case = false, .size_max = 2 * events::kMaxKeyBytes + 1};

Result<std::optional<std::vector<std::string>>> list_of(const json::Object& filter,
                                                        std::string_view name) {
  const json::Value* value = filter.find(name);
  if (value == nullptr) return std::optional<std::vector<std::string>>();
  const json::Array* array = value->as_array();
  if (array == nullptr || array->size() > kEntriesMax)
    return fail(ErrorCode::kInvalid, "The filter's " + std::string(name) + " must be a list");
  std::vector<std::string> list;
  for (const json::Value& entry : *array) {
    if (entry.as_string() == nullptr)
      return fail(ErrorCode::kInvalid, "The filter's " + std::string(name) + " must hold strings");
    list.push_back(*entry.as_string());
  }
  return std::optional(std::move(list));
}

bool is_user(const std::string& name) {
  return UserId::parse(name).ok();
}

Status check_rooms(const std::optional<std::vector<std::string>>& rooms,
                   const std::vector<std::string>& not_rooms) {
  const auto is_room = [](const std::string& name) { return RoomId::parse(name).ok(); };
  if (std::ranges::all_of(not_rooms, is_room) && (!rooms || std::ranges::all_of(*rooms, is_room)))
    return {};
  return fail(ErrorCode::kInvalid, "The filter's rooms must be room ids");
}

Result<std::vector<std::string>> exclusions_of(const json::Object& filter, std::string_view name) {
  POLDER_TRY(auto list, list_of(filter, name));
  return list ? *std::move(list) : std::vector<std::string>();
}

Result<std::optional<size_t>> limit_of(const json::Object& filter) {
  const json::Value* value = filter.find("limit");
  if (value == nullptr) return std::optional<size_t>();
  const auto limit = filter.find_int("limit");
  if (!limit || *limit < 0)
    return fail(ErrorCode::kInvalid, "The filter's limit must be a positive number");
  return std::optional(static_cast<size_t>(std::min(*limit, kLimitMax)));
}

bool contains(const std::vector<std::string>& list, std::string_view name) {
  return std::ranges::find(list, name) != list.end();
}

bool included(const std::optional<std::vector<std::string>>& list, std::string_view name) {
  return !list || contains(*list, name);
}

std::vector<base::Glob> globs_of(const std::vector<std::string>& patterns) {
  std::vector<base::Glob> globs;
  for (const std::string& pattern : patterns) {
    auto glob = base::Glob::parse(pattern, kTypes);
    if (glob.ok()) globs.push_back(*std::move(glob));  // else no type is as long
  }
  return globs;
}

bool any_matches(const std::vector<base::Glob>& globs, std::u32string_view type) {
  return std::ranges::any_of(globs, [&](const base::Glob& glob) { return glob.matches(type); });
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

bool EventFilter::allows_type(std::string_view type) const {
  if (!types && not_types.empty()) return true;
  const std::u32string text = base::characters(type);
  return (!types || any_matches(*types, text)) && !any_matches(not_types, text);
}

bool EventFilter::allows_sender(std::string_view sender) const {
  return included(senders, sender) && !contains(not_senders, sender);
}

bool EventFilter::allows_room(std::string_view room) const {
  return included(rooms, room) && !contains(not_rooms, room);
}

bool EventFilter::allows(const events::Event& event) const {
  if (!allows_type(event.type()) || !allows_sender(event.sender().view())) return false;
  return !contains_url || event.content().contains("url") == *contains_url;
}

bool EventFilter::allows(const rooms::ShownEvent& event) const {
  if (!allows_type(event.type()) || !allows_sender(event.sender())) return false;
  return !contains_url || event.contains_url() == *contains_url;
}

Result<EventFilter> parse_event_filter(const json::Object& filter) {
  EventFilter parsed;
  POLDER_TRY(const auto types, list_of(filter, "types"));
  if (types) parsed.types = globs_of(*types);
  POLDER_TRY(parsed.senders, list_of(filter, "senders"));
  POLDER_TRY(parsed.rooms, list_of(filter, "rooms"));
  POLDER_TRY(const auto not_types, exclusions_of(filter, "not_types"));
  parsed.not_types = globs_of(not_types);
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
  return included(rooms, room) && !contains(not_rooms, room);
}

Result<Filter> parse_filter(const json::Object& filter) {
  Filter parsed;
  POLDER_CHECK(parse_part(filter, "account_data", parsed.account_data));
  EventFilter presence;  // of which nothing is told
  POLDER_CHECK(parse_part(filter, "presence", presence));
  const json::Reader in(filter);
  POLDER_CHECK(in.optional_strings("event_fields"));
  POLDER_CHECK(in.one_of("event_format", {"client", "federation"}, "client"));
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
  parsed.unread_thread_notifications = flag(room, "timeline", "unread_thread_notifications");
  return parsed;
}

}  // namespace polder::sync
