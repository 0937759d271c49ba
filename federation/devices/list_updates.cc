#include "federation/devices/list_updates.h"

#include <algorithm>

#include "federation/devices/sharing.h"
#include "homeserver/base/json/write.h"
#include "storage/stores/federation/remote_device_rows.h"
#include "storage/stores/users/user_rows.h"

namespace polder::devices {
namespace {

constexpr size_t kPage = 1000;  // changes that are read at once
constexpr size_t kEntriesMax = 100'000;
// Of an EDU, which with what is around it stays within the size of an event.
constexpr size_t kEduContentMax = 64'000;
constexpr Millis kAfterFailure{1000};  // of the disk

// The last change of every user's devices, and of every user's cross-signing keys.
std::vector<stores::DeviceListChange> only_last(std::vector<stores::DeviceListChange> changes) {
  std::vector<stores::DeviceListChange> last;
  std::set<std::pair<stores::UserNumber, bool>> seen;
  for (auto change = changes.rbegin(); change != changes.rend(); ++change) {
    if (seen.emplace(change->user, change->device.empty()).second)
      last.push_back(std::move(*change));
  }
  std::ranges::reverse(last);
  return last;
}

}  // namespace

Status ListUpdates::start() {
  const auto snapshot = parts_.database.snapshot();
  POLDER_TRY(handed_out_, stores::read_lists_handed_out(*snapshot));
  POLDER_TRY(backlogs_, stores::read_list_backlogs(*snapshot));
  POLDER_TRY(entries_, stores::read_room_entries(*snapshot, 0, handed_out_, kEntriesMax));
  runtime::spawn(parts_.runtime, parts_.runtime.shard(0), "device list updates", pump());
  return {};
}

void ListUpdates::changed() {
  if (notified_.exchange(true)) return;
  runtime::spawn(parts_.runtime, parts_.runtime.shard(0), "device list wake", notify());
}

Task<void> ListUpdates::notify() {
  notified_ = false;
  again_ = true;
  wake_.notify_all();
  co_return;
}

Task<void> ListUpdates::pump() {
  for (;;) {
    if (!std::exchange(again_, false)) {
      co_await wake_.wait();
      continue;
    }
    const Status done = co_await hand_out();
    if (done.ok()) continue;
    parts_.runtime.log().error("changes of devices cannot be read",
                               {{"error", done.error().message}});
    co_await runtime::sleep_for(parts_.runtime, kAfterFailure);
    again_ = true;
  }
}

Task<Status> ListUpdates::hand_out() {
  const kv::Position to = parts_.committer.visible();
  while (handed_out_ < to) {
    auto read = [this, from = handed_out_, to] { return read_destinations(from, to); };
    POLDER_CO_TRY(HandedOut page, co_await runtime::on_pool(parts_.runtime, std::move(read)));
    std::vector<ServerName> waiting;
    for (const auto& [server, first] : page.first) {
      backlogs_.try_emplace(server, first - 1);
      dirty_.insert(server);
      waiting.push_back(server);
    }
    handed_out_ = page.read_to;
    entries_.insert(entries_.end(), page.entries.begin(), page.entries.end());
    persist(page.settled);
    if (!waiting.empty()) parts_.sender.wake(std::move(waiting));
  }
  co_return Status();
}

// Both kinds up to the same position.
Result<ListUpdates::Log> ListUpdates::read_log(const kv::Snapshot& snapshot, kv::Position from,
                                               kv::Position to) {
  Log log;
  log.read_to = to;
  POLDER_TRY(log.entries, stores::read_room_entries(snapshot, from, log.read_to, kPage));
  if (log.entries.size() >= kPage) log.read_to = log.entries.back().position;
  POLDER_TRY(log.changes, stores::read_device_list_log(snapshot, from, log.read_to, kPage));
  if (log.changes.size() == kPage) log.read_to = log.changes.back().position;
  std::erase_if(log.entries, [&](const auto& entry) { return entry.position > log.read_to; });
  return log;
}

Result<ListUpdates::HandedOut> ListUpdates::read_destinations(kv::Position from,
                                                              kv::Position to) const {
  const auto snapshot = parts_.database.snapshot();
  POLDER_TRY(const Log log, read_log(*snapshot, from, to));
  HandedOut page;
  page.read_to = log.read_to;
  const auto tell = [&](std::set<ServerName> servers, kv::Position position) {
    servers.erase(parts_.own_name);
    for (const ServerName& server : servers) {
      const auto known = page.first.try_emplace(server, position).first;
      known->second = std::min(known->second, position);
    }
    return !servers.empty();
  };
  std::set<stores::UserNumber> seen;
  for (const stores::DeviceListChange& change : log.changes) {
    if (!seen.insert(change.user).second) continue;
    POLDER_TRY(const auto user, local_user(change.user));
    if (!user) continue;
    POLDER_TRY(auto servers, servers_of(*snapshot, parts_.names, change.user));
    tell(std::move(servers), change.position);
  }
  for (const stores::RoomEntry& entry : log.entries) {
    POLDER_TRY(auto servers, servers_met(*snapshot, parts_.names, entry));
    (tell(std::move(servers), entry.position) ? page.entries : page.settled).push_back(entry);
  }
  return page;
}

Result<std::optional<UserId>> ListUpdates::local_user(stores::UserNumber number) const {
  POLDER_TRY(std::string name, parts_.names.name(stores::NameKind::kUser, number));
  UserId user = UserId::trusted(std::move(name));
  if (user.server() != parts_.own_name.view()) return std::optional<UserId>();
  return std::optional(std::move(user));
}

Result<std::vector<stores::DeviceListChange>> ListUpdates::changes_for(
    const kv::Snapshot& snapshot, const ServerName& destination, const Log& log) const {
  std::vector<stores::DeviceListChange> changes;
  POLDER_TRY(const auto server, parts_.names.find(stores::NameKind::kServer, destination.view()));
  if (!server) return changes;
  std::map<stores::UserNumber, bool> told;  // whether the server is to be told of the user
  for (const stores::DeviceListChange& change : log.changes) {
    if (!told.contains(change.user)) {
      POLDER_TRY(const auto user, local_user(change.user));
      POLDER_TRY(const bool shared, shares_room_with(snapshot, change.user, *server));
      told[change.user] = user && shared;
    }
    if (told[change.user]) changes.push_back(change);
  }
  POLDER_CHECK(add_entries(snapshot, *server, log, changes));
  std::ranges::sort(changes, {}, &stores::DeviceListChange::position);
  return changes;
}

Status ListUpdates::add_entries(const kv::Snapshot& snapshot, stores::ServerNumber server,
                                const Log& log,
                                std::vector<stores::DeviceListChange>& changes) const {
  for (const stores::RoomEntry& entry : log.entries) {
    POLDER_TRY(const bool met, met_by_entering(snapshot, entry, server));
    if (!met) continue;
    POLDER_TRY(const auto devices, stores::read_devices(snapshot, entry.user));
    if (!devices.empty()) changes.push_back({entry.position, entry.user, devices.front().first});
  }
  return {};
}

Result<ListUpdates::Page> ListUpdates::read_page(const ServerName& destination, kv::Position from,
                                                 kv::Position to, size_t limit) const {
  const auto snapshot = parts_.database.snapshot();
  Page page;
  for (page.told = from; page.told < to && page.edus.empty();) {
    POLDER_TRY(const Log log, read_log(*snapshot, page.told, to));
    POLDER_TRY(auto changes, changes_for(*snapshot, destination, log));
    if (changes.size() > kChangesToldMax) changes = only_last(std::move(changes));
    page.told = log.read_to;
    if (changes.size() > limit) {
      // Users who entered by one event have one position.
      size_t cut = limit;
      while (cut > 1 && changes[cut].position == changes[cut - 1].position)
        --cut;
      changes.resize(cut);
      page.told = changes.back().position;
    }
    for (const stores::DeviceListChange& change : changes) {
      POLDER_TRY(auto edu, sendable_edu(*snapshot, change));
      if (edu) page.edus.push_back(*std::move(edu));
    }
  }
  return page;
}

// What one user has that nobody could take stops no other's: without its keys, an update of a
// device makes others ask for the list.
Result<std::optional<wire::Edu>> ListUpdates::sendable_edu(
    const kv::Snapshot& snapshot, const stores::DeviceListChange& change) const {
  auto edu = edu_of(snapshot, change, true);
  if (!edu.ok() && edu.error().code == ErrorCode::kIo) return edu.error();
  if (edu.ok() && json::write(edu->content).size() <= kEduContentMax)
    return std::optional(*std::move(edu));
  parts_.runtime.log().warning("device_list_update_too_large", {{"user", change.user}});
  if (change.device.empty()) return std::optional<wire::Edu>();
  POLDER_TRY(wire::Edu bare, edu_of(snapshot, change, false));
  return std::optional(std::move(bare));
}

// The keys as they are now: a later change of the same device tells the same again.
Result<wire::Edu> ListUpdates::edu_of(const kv::Snapshot& snapshot,
                                      const stores::DeviceListChange& change,
                                      bool with_keys) const {
  POLDER_TRY(std::string name, parts_.names.name(stores::NameKind::kUser, change.user));
  const UserId user = UserId::trusted(std::move(name));
  if (change.device.empty()) {
    POLDER_TRY(json::Object content, parts_.device_keys.signing_key_update(user, change.user));
    return wire::Edu{"m.signing_key_update", std::move(content)};
  }
  json::Object content{{"user_id", user.str()}, {"device_id", change.device.str()}};
  if (with_keys) {
    POLDER_TRY(content, parts_.device_keys.device_update(user, change.user, change.device));
  }
  POLDER_TRY(const kv::Position previous,
             stores::last_device_change(snapshot, change.user, change.position));
  json::Array prev_id;
  if (previous > 0) prev_id.emplace_back(static_cast<int64_t>(previous));
  content.set("prev_id", std::move(prev_id));
  content.set("stream_id", static_cast<int64_t>(change.position));
  return wire::Edu{"m.device_list_update", std::move(content)};
}

Task<Result<sender::PendingEdus>> ListUpdates::next(ServerName destination, size_t limit) {
  const auto waiting = backlogs_.find(destination);
  if (waiting == backlogs_.end() || limit == 0) co_return sender::PendingEdus();
  auto read = [this, destination, from = waiting->second, to = handed_out_, limit] {
    return read_page(destination, from, to, limit);
  };
  POLDER_CO_TRY(Page page, co_await runtime::on_pool(parts_.runtime, std::move(read)));
  if (page.edus.empty()) told(destination, page.told);
  co_return sender::PendingEdus{std::move(page.edus), page.told};
}

Task<void> ListUpdates::delivered(ServerName destination, uint64_t token) {
  told(destination, token);
  co_return;
}

void ListUpdates::told(const ServerName& destination, kv::Position position) {
  const auto waiting = backlogs_.find(destination);
  if (waiting == backlogs_.end()) return;
  waiting->second = position;
  if (position >= handed_out_) backlogs_.erase(waiting);
  dirty_.insert(destination);
  persist();
}

void ListUpdates::persist(const std::vector<stores::RoomEntry>& settled) {
  kv::Batch batch;
  stores::put_lists_handed_out(batch, handed_out_);
  for (const stores::RoomEntry& entry : settled)
    stores::erase_room_entry(batch, entry);
  // Whoever is behind reads them again.
  if (backlogs_.empty()) {
    for (const stores::RoomEntry& entry : std::exchange(entries_, {}))
      stores::erase_room_entry(batch, entry);
  }
  for (const ServerName& server : std::exchange(dirty_, {})) {
    const auto waiting = backlogs_.find(server);
    if (waiting == backlogs_.end()) {
      stores::erase_list_backlog(batch, server);
    } else {
      stores::put_list_backlog(batch, server, waiting->second);
    }
  }
  parts_.committer.enqueue(std::move(batch), kv::Durability::kLazy, [](const auto&) {});
}

Task<std::vector<ServerName>> ListUpdates::waiting() {
  std::vector<ServerName> servers;
  for (const auto& [server, told] : backlogs_)
    servers.push_back(server);
  co_return servers;
}

}  // namespace polder::devices
