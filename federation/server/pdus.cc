#include "federation/server/pdus.h"

#include <algorithm>
#include <map>

#include "federation/server/open_room.h"
#include "federation/server/parallel.h"
#include "federation/server/waiting.h"
#include "homeserver/base/json/parse.h"
#include "homeserver/base/json/write.h"
#include "homeserver/protocol/events/client_format.h"
#include "homeserver/protocol/events/signing.h"
#include "homeserver/rooms/write/writer.h"

namespace polder::federation_server {
namespace {

constexpr size_t kRoomsAtOnce = 8;

// One event on its way.
struct Incoming {
  RoomId room;
  std::string id;          // for the answer; empty if it is not known
  events::EventPtr event;  // null if it was refused
  bool outside = false;    // of a room that this server is not in
  bool early = false;      // of a room that it is entering
  std::string error;       // empty if it was taken
};

// The id under which the answer tells of an event that cannot be parsed.
std::string id_of(const json::Object& pdu, const events::RoomVersionRules& rules) {
  if (rules.event_ids != events::EventIdFormat::kServerGiven)
    return events::event_id_of(pdu, rules).str();
  const std::string* id = pdu.find_string("event_id");
  return id != nullptr && EventId::parse(*id).ok() ? *id : std::string();
}

// The invite or knock that an event may end.
struct PendingMembership {
  bool invite = false;
  EventId event;
  json::Array state;  // what /sync shows of it
};

Result<std::optional<PendingMembership>> read_pending(Api& api, const RoomId& room,
                                                      std::string_view user) {
  const std::optional<PendingMembership> nothing;
  const stores::Names& names = api.rooms().names;
  POLDER_TRY(const auto room_number, api.rooms().find(room));
  POLDER_TRY(const auto user_number, names.find(stores::NameKind::kUser, user));
  if (!room_number || !user_number) return nothing;
  POLDER_TRY(const auto row,
             stores::read_membership(*api.parts.database.snapshot(), *user_number, *room_number));
  if (!row || row->asked_by.empty()) return nothing;
  POLDER_TRY(const json::Value state, json::parse(row->stripped_state));
  if (state.as_array() == nullptr) return nothing;
  return std::optional(PendingMembership{row->membership == stores::Membership::kInvite,
                                         row->asked_by, *state.as_array()});
}

// Whether the server is one of those that the invite or knock told of: the inviter's, or that of
// someone whose event describes the room.
bool is_named_in(const json::Array& state, const ServerName& server) {
  return std::ranges::any_of(state, [&](const json::Value& entry) {
    const json::Object* event = entry.as_object();
    const std::string* sender = event != nullptr ? event->find_string("sender") : nullptr;
    const auto user = UserId::parse(sender != nullptr ? *sender : "");
    return user.ok() && user->server() == server.view();
  });
}

// Whether the event may be taken for an end of what was pending. The room's rules cannot be put to
// it, as nothing is known of who may kick: so of an invite only who invited may take it back, and
// of a knock only a server that was told of may say so. That the event builds on the very invite or
// knock keeps an old end from ending a new one.
bool may_end(const PendingMembership& pending, const events::Event& event) {
  if (event.membership() != "leave" && event.membership() != "ban") return false;
  if (std::ranges::find(event.auth_events(), pending.event) == event.auth_events().end())
    return false;
  if (!pending.invite)
    return is_named_in(pending.state, ServerName::trusted(std::string(event.sender().server())));
  const json::Object* invite =
      events::find_stripped(pending.state, "m.room.member", *event.state_key());
  const std::string* inviter = invite != nullptr ? invite->find_string("sender") : nullptr;
  return inviter != nullptr && *inviter == event.sender().view();
}

// An end of an invite into, or a knock upon, a room that this server is not in.
Status read_outside_event(Api& api, const ServerName& origin, json::Object pdu,
                          Incoming& incoming) {
  const Error unknown = fail(ErrorCode::kNotFound, "this server is not in the room");
  const std::string* type = pdu.find_string("type");
  const std::string* user = pdu.find_string("state_key");
  if (type == nullptr || *type != "m.room.member" || user == nullptr) return unknown;
  POLDER_TRY(const auto pending, read_pending(api, incoming.room, *user));
  if (!pending) return unknown;
  const json::Object* create = events::find_stripped(pending->state, "m.room.create", "");
  const json::Object* content = create != nullptr ? create->find_object("content") : nullptr;
  const std::string* version = content != nullptr ? content->find_string("room_version") : nullptr;
  const events::RoomVersionRules* rules =
      events::find_room_version(version != nullptr ? std::string_view(*version) : "1");
  if (rules == nullptr) return unknown;
  incoming.id = id_of(pdu, *rules);
  POLDER_TRY(incoming.event, events::Event::parse(std::move(pdu), *rules));
  const events::Event& event = *incoming.event;
  if (event.sender().server() != origin.view() || !may_end(*pending, event)) return unknown;
  incoming.outside = true;
  return {};
}

Status read_event(Api& api, const ServerName& origin, json::Object pdu, Incoming& incoming) {
  auto room = open_own_room(api, incoming.room, origin);
  if (!room.ok()) {
    if (room.error().code != ErrorCode::kNotFound) return room.error();
    if (const auto* entered = api.writer().entering().find(incoming.room)) {
      incoming.id = id_of(pdu, *entered);
      incoming.early = true;
      POLDER_TRY(incoming.event, events::Event::parse(std::move(pdu), *entered));
      return {};
    }
    return read_outside_event(api, origin, std::move(pdu), incoming);
  }
  const events::RoomVersionRules& rules = *(*room)->head().rules;
  incoming.id = id_of(pdu, rules);
  POLDER_TRY(incoming.event, events::Event::parse(std::move(pdu), rules));
  return {};
}

// The room that an event says it is of. In a create event whose room is named by its hash there is
// none, and none is needed: nobody sends one to a server that has not entered the room.
Result<RoomId> room_of(const json::Object& pdu) {
  const std::string* room = pdu.find_string("room_id");
  if (room == nullptr) return fail(ErrorCode::kInvalid, "the event has no room_id");
  return RoomId::parse(*room);
}

void log_refusal(const Api& api, const ServerName& origin, const Incoming& incoming) {
  api.runtime().log().info("pdu_refused", {{"origin", origin},
                                           {"room", incoming.room},
                                           {"event", std::string_view(incoming.id)},
                                           {"reason", std::string_view(incoming.error)}});
}

Status read_text(Api& api, const ServerName& origin, std::string_view text, Incoming& incoming) {
  POLDER_TRY(json::Object pdu, json::parse_object(text, {.max_bytes = kEventBody}));
  POLDER_TRY(incoming.room, room_of(pdu));
  return read_event(api, origin, std::move(pdu), incoming);
}

// Whatever is wrong with one is its own result.
Incoming read_pdu(Api& api, const ServerName& origin, std::string_view text) {
  Incoming incoming;
  const Status read = read_text(api, origin, text, incoming);
  if (read.ok()) return incoming;
  incoming.event = nullptr;
  incoming.error = read.error().message;
  log_refusal(api, origin, incoming);
  return incoming;
}

// The events of a transaction, by room.
struct Batch {
  std::vector<Incoming> events;
  std::vector<std::vector<size_t>> rooms;  // the events of each room, in order
  std::optional<Error> failure;
};

Task<Status> take_outside(Api& api, events::EventPtr event) {
  POLDER_CO_TRY(const auto verified, co_await api.writer().verify(event));
  const auto stored =
      co_await api.writer().store_outside_membership(verified->rules(), verified, {});
  co_return stored.ok() ? Status() : Status(stored.error());
}

Task<Status> take(Api& api, ServerName origin, std::shared_ptr<Batch> batch, size_t index) {
  Incoming& incoming = batch->events[index];
  Status taken;
  if (incoming.outside) {
    taken = co_await take_outside(api, incoming.event);
  } else if (incoming.early) {
    taken = co_await api.waiting->keep(origin, incoming.event);
  } else {
    const auto received = co_await api.writer().receive(origin, incoming.event);
    if (!received.ok()) taken = received.error();
    if (!received.ok() && is_temporary(received.error()))
      taken = co_await api.waiting->keep(origin, incoming.event);
    // The engine has logged it.
    if (received.ok() && received->verdict == rooms::Verdict::kRejected)
      incoming.error = received->refusal;
  }
  if (taken.ok()) co_return taken;
  if (is_own_failure(taken.error())) co_return taken;
  incoming.error = taken.error().message;
  log_refusal(api, origin, incoming);
  co_return Status();
}

Task<void> take_room(Api& api, ServerName origin, std::shared_ptr<Batch> batch, size_t room) {
  for (const size_t index : batch->rooms[room]) {
    if (batch->failure) co_return;
    const Status taken = co_await take(api, origin, batch, index);
    if (!taken.ok()) batch->failure = taken.error();
  }
}

std::shared_ptr<Batch> read_pdus(Api& api, const ServerName& origin,
                                 std::vector<std::string> pdus) {
  auto batch = std::make_shared<Batch>();
  std::map<RoomId, size_t> rooms;
  for (const std::string& pdu : pdus) {
    batch->events.push_back(read_pdu(api, origin, pdu));
    if (!batch->events.back().event) continue;
    const auto [place, added] = rooms.emplace(batch->events.back().room, rooms.size());
    if (added) batch->rooms.emplace_back();
    batch->rooms[place->second].push_back(batch->events.size() - 1);
  }
  return batch;
}

std::string write_results(const Batch& batch) {
  json::Object results;
  for (const Incoming& incoming : batch.events) {
    if (incoming.id.empty()) continue;
    json::Object result;
    if (!incoming.error.empty()) result.set("error", incoming.error);
    results.set(incoming.id, std::move(result));
  }
  return json::write(json::Object{{"pdus", std::move(results)}});
}

}  // namespace

Task<Result<std::string>> receive_pdus(Api& api, ServerName origin, std::vector<std::string> pdus) {
  auto shared = std::make_shared<std::vector<std::string>>(std::move(pdus));
  const auto batch = co_await runtime::on_pool(
      api.runtime(), [&api, origin, shared] { return read_pdus(api, origin, std::move(*shared)); });
  auto make = [&api, origin, batch](size_t room) { return take_room(api, origin, batch, room); };
  co_await in_parallel(api.runtime(), batch->rooms.size(), kRoomsAtOnce, std::move(make));
  if (batch->failure) co_return *batch->failure;
  co_return write_results(*batch);
}

}  // namespace polder::federation_server
