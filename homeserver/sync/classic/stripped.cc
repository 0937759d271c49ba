#include "homeserver/sync/classic/stripped.h"

#include "homeserver/base/json/parse.h"
#include "homeserver/base/json/write.h"
#include "homeserver/protocol/events/client_format.h"

namespace polder::sync {
namespace {

std::string_view list_of(const stores::MembershipRow& row) {
  return row.stripped_state.empty() ? std::string_view("[]") : std::string_view(row.stripped_state);
}

}  // namespace

Result<std::string> stripped_room(const rooms::RoomReader& reader, const UserId& user,
                                  std::string_view name) {
  const stores::StateRoot state = reader.head().record.state;
  POLDER_TRY(auto shown, reader.stripped_events(state));
  POLDER_TRY(const auto own, reader.state_event(state, "m.room.member", user.view()));
  if (own && own->sender() != user) {
    POLDER_TRY(auto inviter, reader.state_event(state, "m.room.member", own->sender().view()));
    if (inviter) shown.push_back(std::move(inviter));
  }
  if (own) shown.push_back(own);
  std::string text;
  json::Writer writer(text);
  writer.begin_object().key(name).begin_object().key("events").begin_array();
  for (const events::EventPtr& event : shown)
    writer.value(events::stripped_state(*event));
  writer.end_array().end_object().end_object();
  return text;
}

std::string outside_room(const stores::MembershipRow& row, std::string_view name) {
  std::string text;
  json::Writer writer(text);
  writer.begin_object().key(name).begin_object().key("events").raw(list_of(row));
  writer.end_object().end_object();
  return text;
}

std::string outside_sender(const stores::MembershipRow& row, const UserId& user) {
  const auto list = json::parse(list_of(row));
  if (!list.ok() || list->as_array() == nullptr) return "";
  const json::Object* member =
      events::find_stripped(*list->as_array(), "m.room.member", user.view());
  const std::string* sender = member != nullptr ? member->find_string("sender") : nullptr;
  return sender != nullptr ? *sender : "";
}

std::string ended_room(std::string_view events, std::string_view prev_batch) {
  std::string text;
  json::Writer writer(text);
  writer.begin_object().key("timeline").begin_object().key("events").raw(events);
  writer.member("limited", false).member("prev_batch", prev_batch).end_object();
  for (const std::string_view section : {"state", "account_data"})
    writer.key(section).begin_object().key("events").begin_array().end_array().end_object();
  writer.end_object();
  return text;
}

std::string outside_ended_room(const stores::MembershipRow& row, std::string_view prev_batch) {
  return ended_room(list_of(row), prev_batch);
}

}  // namespace polder::sync
