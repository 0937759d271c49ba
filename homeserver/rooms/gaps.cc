#include "homeserver/rooms/gaps.h"

#include <algorithm>

namespace polder::rooms {
namespace {

constexpr size_t kServersAsked = 3;

}  // namespace

Result<std::vector<ServerName>> servers_to_ask(const RoomEngine& engine, const RoomHead& head) {
  std::vector<std::pair<uint64_t, stores::ServerNumber>> by_members;
  for (const auto& [server, members] : *head.servers)
    by_members.emplace_back(members, server);
  std::ranges::sort(by_members, std::greater());
  std::vector<ServerName> servers;
  for (const auto& [members, number] : by_members) {
    POLDER_TRY(std::string name, engine.parts().names.name(stores::NameKind::kServer, number));
    if (name == engine.parts().own_name.view()) continue;
    servers.push_back(ServerName::trusted(std::move(name)));
    if (servers.size() == kServersAsked) break;
  }
  return servers;
}

Result<bool> has_gap_before(const RoomReader& reader, const HeldEvent& event) {
  for (const EventId& id : event.event->prev_events()) {
    POLDER_TRY(const auto number, reader.view().find(id));
    if (!number) return true;
    POLDER_TRY(const auto record, reader.view().record(*number));
    if (record.standing.outlier) return true;
  }
  return false;
}

Task<size_t> fill_gap(RoomEngine& engine, RoomHeadPtr head, std::vector<EventId> before,
                      size_t limit) {
  const RoomEngine* reading = &engine;
  const auto servers = co_await runtime::on_pool(
      engine.parts().runtime, [reading, head] { return servers_to_ask(*reading, *head); });
  if (!servers.ok()) co_return 0;
  for (const ServerName& server : *servers) {
    const auto stored = co_await engine.backfill(server, head->record.id, before, limit);
    if (stored.ok() && *stored > 0) co_return *stored;
    if (!stored.ok())
      engine.parts().runtime.log().info(
          "gap_not_filled",
          {{"room", head->record.id}, {"server", server}, {"reason", stored.error().message}});
  }
  co_return 0;
}

}  // namespace polder::rooms
