#include "bench/support/big_room.h"

#include "homeserver/base/json/write.h"
#include "homeserver/protocol/events/room_version.h"
#include "homeserver/rooms/engine/engine.h"
#include "homeserver/rooms/read/reader.h"

namespace polder::bench {
namespace {

constexpr size_t kJoinsUnderWay = 64;

}  // namespace

UserId BigRoom::user(size_t number) {
  return UserId::trusted("@u" + std::to_string(number) + ":bench");
}

BigRoom::BigRoom(LocalServer& server, const std::string& name, size_t members)
    : server_(server), members_(members) {
  const auto event = [&](std::string type, std::string key, json::Object content) {
    return rooms::LocalEvent{.sender = user(0),
                             .type = std::move(type),
                             .state_key = std::move(key),
                             .content = std::move(content),
                             .origin_server_ts = ++now_};
  };
  // The name makes the create event, and thereby the room id, its own.
  std::vector<rooms::LocalEvent> events = {
      event("m.room.create", "", {{"room_version", "12"}, {"bench.name", name}}),
      membership(0, "join"),
      event("m.room.power_levels", "", {{"users_default", 0}}),
      event("m.room.join_rules", "", {{"join_rule", "public"}}),
      event("m.room.history_visibility", "", {{"history_visibility", "shared"}}),
      event("m.room.name", "", {{"name", name}})};
  id_ = must(server_.run(server_.homeserver().rooms().writer.create(
      *events::find_room_version("12"), std::move(events))));
  std::vector<rooms::LocalEvent> joins;
  for (size_t i = 1; i < members; ++i)
    joins.push_back(membership(i, "join"));
  send_pipelined(std::move(joins), kJoinsUnderWay);
}

rooms::LocalEvent BigRoom::message() {
  const size_t number = ++turn_;
  return {.sender = user(number * 7919 % members_),
          .type = "m.room.message",
          .content = {{"msgtype", "m.text"},
                      {"body", "Message " + std::to_string(number) +
                                   ": the minutes are in the usual folder, corrections by Friday."},
                      {"m.mentions", json::Object()}},
          .origin_server_ts = ++now_};
}

rooms::LocalEvent BigRoom::membership(size_t member, const char* value) {
  return {.sender = user(member),
          .type = "m.room.member",
          .state_key = user(member).str(),
          .content = {{"membership", value}, {"displayname", "User " + std::to_string(member)}},
          .origin_server_ts = ++now_};
}

std::string BigRoom::text() const {
  const rooms::RoomSource& rooms = server_.homeserver().rooms().source();
  const rooms::RoomHeadPtr head = must(rooms.head(id_));
  const rooms::RoomReader reader(rooms, head);
  std::vector<std::string> lines;
  must(reader.for_each_state(
      head->record.state, std::nullopt, [&](rooms::EventNumber, const rooms::HeldEvent& held) {
        const events::Event& event = *held.event;
        lines.push_back(event.type() + *event.state_key() + json::write(event.content()));
      }));
  std::ranges::sort(lines);
  std::string text = std::to_string(head->record.last_event);
  for (const std::string& line : lines)
    text += "\n" + line;
  return text;
}

Task<Latencies> BigRoom::send_in_turn(std::vector<rooms::LocalEvent> events) {
  const Clock& clock = server_.runtime().clock();
  Latencies latencies;
  for (rooms::LocalEvent& event : events) {
    const auto begin = clock.steady();
    must(co_await server_.homeserver().rooms().writer.send(id_, std::move(event)));
    latencies.add(clock.steady() - begin);
  }
  co_return latencies;
}

Latencies BigRoom::send_all(std::vector<rooms::LocalEvent> events) {
  return server_.run(send_in_turn(std::move(events)));
}

Task<bool> BigRoom::send_share(std::shared_ptr<const std::vector<rooms::LocalEvent>> events,
                               size_t first, size_t step) {
  for (size_t i = first; i < events->size(); i += step)
    must(co_await server_.homeserver().rooms().writer.send(id_, (*events)[i]));
  co_return true;
}

void BigRoom::send_pipelined(std::vector<rooms::LocalEvent> events, size_t under_way) {
  const auto shared = std::make_shared<const std::vector<rooms::LocalEvent>>(std::move(events));
  std::vector<std::future<bool>> shares;
  for (size_t first = 0; first < std::min(under_way, shared->size()); ++first)
    shares.push_back(server_.start(send_share(shared, first, under_way)));
  for (auto& share : shares)
    share.get();
}

}  // namespace polder::bench
