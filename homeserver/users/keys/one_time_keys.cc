// Handing out one-time keys, each at most once.
// https://spec.matrix.org/v1.19/client-server-api/#one-time-and-fallback-keys
#include <deque>

#include "homeserver/base/json/parse.h"
#include "homeserver/base/json/write.h"
#include "homeserver/users/keys/device_keys.h"

namespace polder::users {
namespace {

constexpr size_t kUsersAtOnce = 32;  // whose turns are taken at once, for one request

using WantedOfUser = std::map<DeviceId, std::string>;  // algorithm

// The device's next key of the algorithm, which is its next no more; else the fallback.
Result<std::optional<std::pair<KeyId, std::string>>> take_key(const kv::Snapshot& snapshot,
                                                              kv::Batch& batch,
                                                              stores::UserNumber owner,
                                                              const DeviceId& device,
                                                              const std::string& algorithm) {
  std::optional<std::pair<KeyId, std::string>> key;
  POLDER_TRY(key, stores::first_one_time_key(snapshot, owner, device, algorithm));
  if (key) {
    stores::erase_one_time_key(batch, owner, device, key->first);
    stores::put_claimed_key(batch, owner, device, key->first, batch.reserve_position());
    return key;
  }
  POLDER_TRY(auto fallbacks, stores::read_fallback_keys(snapshot, owner, device));
  for (stores::FallbackKeyRow& row : fallbacks) {
    if (row.key.algorithm() != algorithm) continue;
    key.emplace(row.key, row.json);
    if (row.used) break;
    row.used = true;
    stores::put_fallback_key(batch, owner, device, row);
  }
  return key;
}

}  // namespace

// A request's users, until each has had its turn. Touched on the shard of the request.
struct DeviceKeys::Claiming {
  std::deque<std::pair<UserId, WantedOfUser>> waiting;
  json::Object claimed;
  Status outcome;
};

// In the owner's turn, so that no key is given twice; all of the owner's keys at once, so that they
// are on disk with one write.
Task<Result<json::Object>> DeviceKeys::claim_of(UserId owner, std::map<DeviceId, std::string> all) {
  DeviceKeys* self = this;
  auto claimed = std::make_shared<json::Object>();
  POLDER_CO_TRY(const auto number, co_await runtime::on_pool(parts_.runtime, [self, owner] {
                  return self->parts_.names.find(stores::NameKind::kUser, owner.view());
                }));
  if (!number) co_return json::Object();
  auto take = [claimed, all = std::move(all), number = *number](const kv::Snapshot& snapshot,
                                                                kv::Batch& batch) -> Status {
    for (const auto& [device, algorithm] : all) {
      POLDER_TRY(const auto key, take_key(snapshot, batch, number, device, algorithm));
      if (!key) continue;
      POLDER_TRY(json::Value value, json::parse(key->second));
      if (!json::is_canonical(value)) continue;
      claimed->set(device.str(), json::object({{key->first.str(), std::move(value)}}));
    }
    return {};
  };
  POLDER_CO_CHECK(co_await turns_.change(*number, std::move(take)));
  co_return std::move(*claimed);
}

Task<void> DeviceKeys::claim_waiting(std::shared_ptr<Claiming> claiming) {
  while (!claiming->waiting.empty() && claiming->outcome.ok()) {
    auto [owner, all] = std::move(claiming->waiting.front());
    claiming->waiting.pop_front();
    auto claimed = co_await claim_of(owner, std::move(all));
    if (!claimed.ok()) {
      claiming->outcome = claimed.error();
    } else if (!claimed->empty()) {
      claiming->claimed.set(owner.str(), *std::move(claimed));
    }
  }
}

// Of many users at once, so that their writes share a sync of the disk.
Task<Result<json::Object>> DeviceKeys::claim(WantedOneTimeKeys wanted) {
  std::map<UserId, WantedOfUser> by_user;
  for (auto& [user, device, algorithm] : wanted)
    by_user[user].insert_or_assign(device, std::move(algorithm));
  auto claiming = std::make_shared<Claiming>();
  for (auto& [user, all] : by_user)
    claiming->waiting.emplace_back(user, std::move(all));
  runtime::TaskGroup tasks(parts_.runtime);
  const auto shard = parts_.runtime.shard(parts_.runtime.current_shard());
  for (size_t i = 0; i < std::min(by_user.size(), kUsersAtOnce); ++i)
    tasks.spawn(shard, "one-time keys", claim_waiting(claiming));
  co_await tasks.wait_all();
  if (!claiming->outcome.ok()) co_return claiming->outcome.error();
  co_return std::move(claiming->claimed);
}

}  // namespace polder::users
