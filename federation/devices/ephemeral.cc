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

Task<void> Ephemeral::typing(rooms::RoomHeadPtr room, UserId user, std::optional<Millis> lasts) {
  const Typist typist{room->record.id.str(), user.str()};
  uint64_t begun = 0;  // if it begins now
  {
    const base::Lock lock(mutex_);
    const auto known = typing_.find(typist);
    if (!lasts) {
      if (known != typing_.end()) typing_.erase(known);
    } else {
      const auto until = parts_.runtime.clock().steady() + *lasts;
      if (known != typing_.end()) {
        known->second.time = until;
      } else {
        begun = ++begun_;
        typing_[typist] = {until, begun};
      }
    }
  }
  if (begun != 0) {
    runtime::spawn(parts_.runtime, parts_.runtime.shard(parts_.runtime.current_shard()),
                   "end of typing", end_typing(room, user, begun));
  }
  co_await send_typing(std::move(room), std::move(user), lasts.has_value());
}

std::optional<Millis> Ephemeral::left(const Typist& typist, uint64_t begun) {
  const base::Lock lock(mutex_);
  const auto known = typing_.find(typist);
  if (known == typing_.end() || known->second.begun != begun) return {};
  const auto left = known->second.time - parts_.runtime.clock().steady();
  if (left > std::chrono::nanoseconds(0)) return std::chrono::ceil<Millis>(left);
  typing_.erase(known);
  return Millis(0);
}

Task<void> Ephemeral::end_typing(rooms::RoomHeadPtr room, UserId user, uint64_t begun) {
  const Typist typist{room->record.id.str(), user.str()};
  for (;;) {
    const auto lasts = left(typist, begun);
    if (!lasts) co_return;
    if (*lasts == Millis(0)) break;
    co_await runtime::sleep_for(parts_.runtime, *lasts);
  }
  co_await send_typing(std::move(room), std::move(user), false);
}

Task<void> Ephemeral::send_typing(rooms::RoomHeadPtr room, UserId user, bool typing) {
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
