#include "federation/devices/ephemeral.h"

namespace polder::devices {
namespace {

constexpr Millis kTypingKept{30'000};
constexpr Millis kReceiptsKept{24 * 3'600'000};

}  // namespace

Task<void> Ephemeral::send(rooms::RoomHeadPtr room, sender::ShortLivedEdu edu) {
  if (!room->servers) co_return;
  auto names = [this, servers = room->servers]() -> Result<std::vector<ServerName>> {
    std::vector<ServerName> others;
    for (const auto& [number, members] : *servers) {
      POLDER_TRY(std::string name, parts_.names.name(stores::NameKind::kServer, number));
      if (name != parts_.own_name.view()) others.push_back(ServerName::trusted(std::move(name)));
    }
    return others;
  };
  auto others = co_await runtime::on_pool(parts_.runtime, std::move(names));
  if (others.ok() && !others->empty())
    parts_.sender.send_short_lived(*std::move(others), std::move(edu));
}

Task<void> Ephemeral::typing(rooms::RoomHeadPtr room, UserId user, bool typing) {
  const std::string room_id = room->record.id.str();
  sender::ShortLivedEdu edu;
  edu.edu = {"m.typing", {{"room_id", room_id}, {"user_id", user.str()}, {"typing", typing}}};
  edu.replaces = "typing " + room_id + " " + user.str();
  edu.keep_for = kTypingKept;
  co_await send(std::move(room), std::move(edu));
}

Task<void> Ephemeral::receipt(rooms::RoomHeadPtr room, UserId user, SentReceipt receipt) {
  if (receipt.type != "m.read") co_return;
  const std::string room_id = room->record.id.str();
  json::Object data{{"ts", receipt.ts_ms}};
  if (!receipt.thread.empty()) data.set("thread_id", receipt.thread);
  json::Array events;
  events.emplace_back(receipt.event.str());
  const json::Value read =
      json::object({{"data", std::move(data)}, {"event_ids", std::move(events)}});
  sender::ShortLivedEdu edu;
  edu.edu.type = "m.receipt";
  edu.edu.content.set(room_id, json::object({{"m.read", json::object({{user.str(), read}})}}));
  edu.replaces = "receipt " + room_id + " " + user.str() + " " + receipt.thread;
  edu.keep_for = kReceiptsKept;
  co_await send(std::move(room), std::move(edu));
}

}  // namespace polder::devices
