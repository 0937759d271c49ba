#include "federation/devices/list_updates.h"

#include <algorithm>

#include "federation/devices/sharing.h"
#include "homeserver/base/json/write.h"
#include "storage/stores/base/cursor_rows.h"
#include "storage/stores/federation/remote_device_rows.h"
#include "storage/stores/users/user_rows.h"

namespace polder::devices {
namespace {

constexpr size_t kPage = 1000;  // changes that are read at once
constexpr size_t kEntriesMax = 100'000;
// Of an EDU, which with what is around it stays within the size of an event.
constexpr size_t kEduContentMax = 64'000;

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

const feed::Streams& followed_streams() {
  static const feed::Streams streams = {feed::Stream::kRoomEntries, feed::Stream::kDeviceLists};
  return streams;
}

}  // namespace

ListUpdates::ListUpdates(Parts parts)
    : parts_(std::move(parts)),
      follower_(parts_.followers,
                {.name = std::string(stores::kDeviceListFollower),
                 .streams = followed_streams(),
                 .entries_max = kPage},
                *this) {}

Status ListUpdates::start() {
  POLDER_CHECK(follower_.load());
  handed_out_ = follower_.cursor();
  const auto snapshot = parts_.database.snapshot();
  POLDER_TRY(backlogs_, stores::read_list_backlogs(*snapshot));
  POLDER_TRY(entries_, stores::read_room_entries(*snapshot, 0, handed_out_, kEntriesMax));
  follower_.start();
  return {};
}

Result<ListUpdates::Work> ListUpdates::read(const kv::Snapshot& snapshot,
                                            const feed::Page& stream) {
  POLDER_TRY(const Log log, log_of(stream));
  POLDER_TRY(auto found, destinations_of(snapshot, log));
  auto page = std::make_shared<const HandedOut>(std::move(found));
  return Work([this, page = std::move(page)] { return hand_out(page); });
}

Task<Status> ListUpdates::hand_out(std::shared_ptr<const HandedOut> page) {
  std::vector<ServerName> waiting;
  for (const auto& [server, first] : page->first) {
    backlogs_.try_emplace(server, first - 1);
    dirty_.insert(server);
    waiting.push_back(server);
  }
  handed_out_ = page->read_to;
  entries_.insert(entries_.end(), page->entries.begin(), page->entries.end());
  settled_.insert(settled_.end(), page->settled.begin(), page->settled.end());
  if (!waiting.empty()) parts_.sender.wake(std::move(waiting));
  co_return Status();
}

Result<ListUpdates::Log> ListUpdates::log_of(const feed::Page& stream) {
  Log log;
  log.read_to = stream.to;
  for (const feed::Entry& row : stream.entries) {
    if (row.stream == feed::Stream::kDeviceLists) {
      POLDER_TRY(auto change, stores::device_list_change_of(row.position, row.value));
      log.changes.push_back(std::move(change));
    } else {
      POLDER_TRY(const auto entry, stores::room_entry_of(row.position, row.key_rest, row.value));
      log.entries.push_back(entry);
    }
  }
  return log;
}

Result<ListUpdates::HandedOut> ListUpdates::destinations_of(const kv::Snapshot& snapshot,
                                                            const Log& log) const {
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
    POLDER_TRY(auto servers, servers_of(snapshot, parts_.names, change.user));
    tell(std::move(servers), change.position);
  }
  for (const stores::RoomEntry& entry : log.entries) {
    POLDER_TRY(auto servers, servers_met(snapshot, parts_.names, entry));
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
    POLDER_TRY(const feed::Page stream,
               feed::read_page(*snapshot, followed_streams(), page.told, to, kPage));
    POLDER_TRY(const Log log, log_of(stream));
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
  follower_.changed();
}

void ListUpdates::save(kv::Batch& batch, bool all) {
  for (const stores::RoomEntry& entry : std::exchange(settled_, {}))
    stores::erase_room_entry(batch, entry);
  // Whoever is behind reads them again.
  if (backlogs_.empty()) {
    for (const stores::RoomEntry& entry : std::exchange(entries_, {}))
      stores::erase_room_entry(batch, entry);
  }
  if (all) {
    for (const auto& [server, told] : backlogs_)
      dirty_.insert(server);
  }
  for (const ServerName& server : std::exchange(dirty_, {})) {
    const auto waiting = backlogs_.find(server);
    if (waiting == backlogs_.end()) {
      stores::erase_list_backlog(batch, server);
    } else {
      stores::put_list_backlog(batch, server, waiting->second);
    }
  }
}

Task<std::vector<ServerName>> ListUpdates::waiting() {
  std::vector<ServerName> servers;
  for (const auto& [server, told] : backlogs_)
    servers.push_back(server);
  co_return servers;
}

}  // namespace polder::devices
