#include "federation/devices/remote_devices.h"

#include <algorithm>

#include "federation/devices/sharing.h"
#include "storage/stores/users/key_rows.h"

namespace polder::devices {
namespace {

constexpr size_t kTurns = 256;
constexpr size_t kResyncsMax = 2000;  // beyond, lists stay unknown until somebody asks again
constexpr size_t kRefreshesMax = 16;  // servers at once
constexpr int kAttemptsMax = 8;
constexpr Millis kFirstPause{10'000};  // doubles

// Whether the update continues the list: it builds on nothing that is not in it.
bool continues(const stores::RemoteDeviceList& list, const DeviceUpdate& update) {
  // The first of a sequence, unless the list has changes of it already.
  if (update.prev_ids.empty()) return list.stream_id == 0;
  return std::ranges::all_of(update.prev_ids, [&](int64_t prev) { return prev <= list.stream_id; });
}

// True if the devices are the same as before.
Result<bool> continue_list(stores::RemoteDeviceList& row, const DeviceUpdate& update) {
  POLDER_TRY(KnownList list, KnownList::from_json(row.json));
  list.apply(update);
  row.stream_id = update.stream_id;
  POLDER_TRY(std::string json, list.to_json());
  const bool same = json == row.json;
  row.json = std::move(json);
  return same;
}

}  // namespace

struct RemoteDevices::Resync {
  stores::UserNumber witness = 0;
  bool again = false;  // something changed while the server was asked
};

RemoteDevices::RemoteDevices(Parts parts) : parts_(std::move(parts)), asked_(parts_.runtime) {
  for (size_t i = 0; i < kTurns; ++i)
    turns_.push_back(std::make_unique<runtime::SerialQueue>(parts_.runtime));
}

// Nothing if no room is shared; what was known of the user is dropped then.
Result<std::optional<RemoteDevices::Place>> RemoteDevices::place_of(const kv::Snapshot& snapshot,
                                                                    const UserId& user,
                                                                    kv::Batch& batch) const {
  const std::optional<Place> nowhere;
  POLDER_TRY(const auto number, parts_.names.find(stores::NameKind::kUser, user.view()));
  POLDER_TRY(const auto own, parts_.names.find(stores::NameKind::kServer, parts_.own_name.view()));
  if (!number || !own) return nowhere;
  Place place;
  place.number = *number;
  POLDER_TRY(place.list, stores::read_remote_device_list(snapshot, *number));
  if (place.list) {
    POLDER_TRY(const bool current, is_current(snapshot, *number, *place.list));
    if (current) return std::optional(std::move(place));
    stores::erase_remote_device_list(batch, *number);
    place.list.reset();
  }
  POLDER_TRY(const bool shared, shares_room_with(snapshot, *number, *own));
  if (!shared) return nowhere;
  return std::optional(std::move(place));
}

Result<RemoteDevices::Applied> RemoteDevices::apply_device(const kv::Snapshot& snapshot,
                                                           const DeviceUpdate& update) const {
  Applied applied;
  POLDER_TRY(auto place, place_of(snapshot, update.user, applied.batch));
  if (!place) return applied;
  applied.user = place->number;
  // It came before what is known.
  if (place->list && update.stream_id <= place->list->stream_id) return applied;
  // A device that never had keys is nothing to those who encrypt: of a user who entered a room, the
  // join has told them already.
  if (!place->list && !update.keys && !update.deleted) return applied;
  applied.outcome = Outcome::kTold;
  if (place->list && continues(*place->list, update)) {
    POLDER_TRY(const bool same, continue_list(*place->list, update));
    stores::put_remote_device_list(applied.batch, place->number, *place->list);
    if (same) {
      applied.outcome = Outcome::kIgnored;
      return applied;
    }
  } else if (place->list) {
    applied.outcome = Outcome::kGap;
    applied.witness = place->list->witness;
    stores::erase_remote_device_list(applied.batch, place->number);
  }
  POLDER_CHECK(stores::put_remote_list_change(snapshot, applied.batch, place->number));
  return applied;
}

Result<RemoteDevices::Applied> RemoteDevices::apply_signing_keys(
    const kv::Snapshot& snapshot, const SigningKeyUpdate& update) const {
  Applied applied;
  POLDER_TRY(auto place, place_of(snapshot, update.user, applied.batch));
  if (!place) return applied;
  applied.user = place->number;
  applied.outcome = Outcome::kTold;
  if (place->list) {
    POLDER_TRY(KnownList list, KnownList::from_json(place->list->json));
    list.apply(update);
    POLDER_TRY(place->list->json, list.to_json());
    stores::put_remote_device_list(applied.batch, place->number, *place->list);
  }
  POLDER_CHECK(stores::put_remote_list_change(snapshot, applied.batch, place->number));
  return applied;
}

Task<void> RemoteDevices::device_list_update(ServerName origin, json::Object content) {
  auto update = read_device_update(content);
  if (!update.ok() || update->user.server() != origin.view()) {
    parts_.runtime.log().debug("a device list update is ignored", {{"server", origin}});
    co_return;
  }
  const UserId user = update->user;
  auto shared = std::make_shared<const DeviceUpdate>(*std::move(update));
  auto make = [this, user, shared] {
    return change(user, [this, shared](const kv::Snapshot& snapshot) {
      return apply_device(snapshot, *shared);
    });
  };
  co_await runtime::on_shard(parts_.runtime, 0, std::move(make));
}

Task<void> RemoteDevices::signing_key_update(ServerName origin, json::Object content) {
  auto update = read_signing_key_update(content);
  if (!update.ok() || update->user.server() != origin.view() ||
      (!update->master_key && !update->self_signing_key)) {
    parts_.runtime.log().debug("a signing key update is ignored", {{"server", origin}});
    co_return;
  }
  const UserId user = update->user;
  auto shared = std::make_shared<const SigningKeyUpdate>(*std::move(update));
  auto make = [this, user, shared] {
    return change(user, [this, shared](const kv::Snapshot& snapshot) {
      return apply_signing_keys(snapshot, *shared);
    });
  };
  co_await runtime::on_shard(parts_.runtime, 0, std::move(make));
}

// In the user's turn, so that each update is applied to what the one before made. True if clients
// were told.
Task<bool> RemoteDevices::change(UserId user, Apply apply) {
  const auto turn = co_await turns_[std::hash<UserId>()(user) % kTurns]->turn();
  const kv::Database* database = &parts_.database;
  auto applied = co_await runtime::on_pool(
      parts_.runtime, [database, apply] { return apply(*database->snapshot()); });
  Status done;
  if (!applied.ok()) {
    done = applied.error();
  } else if (!applied->batch.empty()) {
    const auto committed = co_await parts_.committer.commit(std::move(applied->batch));
    if (!committed.ok()) done = committed.error();
  }
  if (!done.ok()) {
    parts_.runtime.log().warning("a device list cannot be updated",
                                 {{"user", user}, {"error", done.error().message}});
    co_return false;
  }
  if (applied->outcome == Outcome::kIgnored) co_return false;
  const auto under_way = resyncs_.find(user);
  if (under_way != resyncs_.end()) under_way->second->again = true;
  if (applied->outcome == Outcome::kGap) start_resync(user, applied->witness);
  co_return true;
}

Result<std::optional<KnownList>> RemoteDevices::known(const kv::Snapshot& snapshot,
                                                      const UserId& user) const {
  const std::optional<KnownList> unknown;
  POLDER_TRY(const auto number, parts_.names.find(stores::NameKind::kUser, user.view()));
  if (!number) return unknown;
  POLDER_TRY(const auto row, stores::read_remote_device_list(snapshot, *number));
  if (!row) return unknown;
  POLDER_TRY(const bool current, is_current(snapshot, *number, *row));
  if (!current) return unknown;
  POLDER_TRY(KnownList list, KnownList::from_json(row->json));
  return std::optional(std::move(list));
}

void RemoteDevices::follow(UserId user, stores::UserNumber witness) {
  runtime::spawn(parts_.runtime, parts_.runtime.shard(0), "follow a device list",
                 follow_here(std::move(user), witness));
}

Task<void> RemoteDevices::follow_here(UserId user, stores::UserNumber witness) {
  start_resync(user, witness);
  co_return;
}

void RemoteDevices::start_resync(const UserId& user, stores::UserNumber witness) {
  if (resyncs_.contains(user) || resyncs_.size() >= kResyncsMax) return;
  auto state = std::make_shared<Resync>();
  state->witness = witness;
  resyncs_.emplace(user, state);
  runtime::spawn(parts_.runtime, parts_.runtime.shard(0), "device list", resync(user, state));
}

Task<void> RemoteDevices::resync(UserId user, std::shared_ptr<Resync> state) {
  Millis pause = kFirstPause;
  for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
    while (asking_ >= kRefreshesMax)
      co_await asked_.wait();
    ++asking_;
    state->again = false;
    const Status done = co_await ask(user, state);
    --asking_;
    asked_.notify_all();
    if (done.ok()) break;
    // Not there, or not ours to know: no use to ask again.
    if (done.error().code == ErrorCode::kNotFound) break;
    parts_.runtime.jobs().failed("device list", done.error(), parts_.runtime.clock().wall_ms());
    co_await runtime::sleep_for(parts_.runtime, pause);
    pause *= 2;
  }
  resyncs_.erase(user);
}

// https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1userdevicesuserid
Task<Status> RemoteDevices::ask(UserId user, std::shared_ptr<Resync> state) {
  stores::RemoteDeviceList list;
  list.witness = state->witness;
  auto find_room = [this, user, witness = state->witness]() -> Result<stores::RoomNumber> {
    POLDER_TRY(const auto number, parts_.names.find(stores::NameKind::kUser, user.view()));
    if (!number) return fail(ErrorCode::kNotFound, "an unknown user");
    POLDER_TRY(const auto room, room_of_both(*parts_.database.snapshot(), witness, *number));
    if (!room) return fail(ErrorCode::kNotFound, "no room is shared");
    return *room;
  };
  POLDER_CO_TRY(list.room, co_await runtime::on_pool(parts_.runtime, std::move(find_room)));
  list.as_of = parts_.committer.visible();
  const ServerName server = ServerName::trusted(std::string(user.server()));
  POLDER_CO_TRY(const auto told, co_await parts_.client.user_devices(server, user));
  list.stream_id = told.stream_id;
  POLDER_CO_TRY(list.json, KnownList(user, told).to_json());
  co_return co_await keep(user, std::move(list), state);
}

Task<Status> RemoteDevices::keep(UserId user, stores::RemoteDeviceList list,
                                 std::shared_ptr<Resync> state) {
  const auto turn = co_await turns_[std::hash<UserId>()(user) % kTurns]->turn();
  // What the user's server told while it was asked was applied to nothing.
  if (state->again) co_return fail(ErrorCode::kUnavailable, "the list changed meanwhile");
  auto shared = std::make_shared<const stores::RemoteDeviceList>(std::move(list));
  auto make = [this, user, shared]() -> Result<kv::Batch> {
    POLDER_TRY(const auto number, parts_.names.find(stores::NameKind::kUser, user.view()));
    if (!number) return fail(ErrorCode::kNotFound, "an unknown user");
    POLDER_TRY(const bool current, is_current(*parts_.database.snapshot(), *number, *shared));
    if (!current) return fail(ErrorCode::kNotFound, "no room is shared any more");
    kv::Batch batch;
    stores::put_remote_device_list(batch, *number, *shared);
    return batch;
  };
  POLDER_CO_TRY(kv::Batch batch, co_await runtime::on_pool(parts_.runtime, std::move(make)));
  POLDER_CO_CHECK(co_await parts_.committer.commit(std::move(batch)));
  co_return Status();
}

}  // namespace polder::devices
