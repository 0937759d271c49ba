#include "federation/keyring/keyring.h"

#include "homeserver/base/json/parse.h"
#include "homeserver/base/json/write.h"
#include "homeserver/base/runtime/sync.h"
#include "storage/stores/federation/federation_rows.h"

namespace polder::keyring {
namespace {

// Remembered over all shards: servers that somebody here has to do with, and others.
constexpr size_t kServersMax = 10'000;
constexpr size_t kBytesMax = size_t{32} << 20;
constexpr size_t kPassingMax = 2'000;
constexpr size_t kPassingBytesMax = size_t{4} << 20;
constexpr size_t kKeysMax = 400;  // of one server
constexpr size_t kKeyBytes = 150;
constexpr size_t kResponseMax = 64 * 1024;
constexpr Millis kFetchTimeout{20'000};
constexpr int64_t kWeekMs = 7 * 24 * 3600 * 1000LL;
constexpr std::chrono::seconds kAskAgain{60};  // nobody makes this server ask another more often

Error unknown(const ServerName& server, const KeyId& key) {
  return fail(ErrorCode::kNotFound, "no valid key " + key.str() + " of " + server.str());
}

}  // namespace

// What is known of one server's keys.
struct Keyring::Entry {
  struct Key {
    crypto::VerifyKey key;
    int64_t valid_until_ms = 0;
  };
  explicit Entry(runtime::Runtime& runtime) : fetched(runtime) {}

  ServerName server;
  std::map<KeyId, Key> keys;
  int64_t valid_until_ms = 0;  // of the answer
  std::string response;
  std::optional<std::chrono::nanoseconds> asked;
  Status outcome;  // of the last request
  bool fetching = false;
  bool kept = false;  // somebody here has to do with the server: it is on the disk
  runtime::Signal fetched;

  size_t bytes() const { return response.size() + keys.size() * kKeyBytes; }

  std::optional<crypto::VerifyKey> find(const KeyId& id, int64_t valid_at_ms) const {
    const auto found = keys.find(id);
    if (found == keys.end()) return {};
    if (valid_at_ms > found->second.valid_until_ms) return {};
    return found->second.key;
  }
};

struct Keyring::Shard {
  using Entries = std::map<ServerName, EntryPtr>;
  Entries entries;  // of those with which somebody here has to do
  Entries passing;  // of those for which strangers asked

  EntryPtr find(const ServerName& server) const {
    for (const Entries* known : {&entries, &passing}) {
      const auto found = known->find(server);
      if (found != known->end()) return found->second;
    }
    return nullptr;
  }
};

Keyring::Keyring(KeyringParts parts) : parts_(std::move(parts)) {
  for (size_t i = 0; i < parts_.runtime.shard_count(); ++i)
    shards_.push_back(std::make_unique<Shard>());
}

Keyring::~Keyring() = default;

size_t Keyring::shard_of(const ServerName& server) const {
  return std::hash<ServerName>()(server) % parts_.runtime.shard_count();
}

Task<Result<crypto::VerifyKey>> Keyring::key(ServerName server, KeyId key, int64_t valid_at_ms) {
  return key_for({}, std::move(server), std::move(key), valid_at_ms);
}

Task<Result<crypto::VerifyKey>> Keyring::key_for_stranger(ServerName server, KeyId key,
                                                          int64_t now_ms, std::string address) {
  return key_for({true, std::move(address)}, std::move(server), std::move(key), now_ms);
}

Task<Result<crypto::VerifyKey>> Keyring::key_for(Requester requester, ServerName server, KeyId key,
                                                 int64_t valid_at_ms) {
  if (server == parts_.own_name) {
    if (key != parts_.signing_key.id()) co_return unknown(server, key);
    co_return parts_.signing_key.verify_key();
  }
  const size_t shard = shard_of(server);
  auto make = [this, requester = std::move(requester), server = std::move(server),
               key = std::move(key),
               valid_at_ms]() { return key_on_shard(requester, server, key, valid_at_ms); };
  co_return co_await runtime::on_shard(parts_.runtime, shard, std::move(make));
}

Task<Result<std::string>> Keyring::signed_keys(ServerName server, int64_t valid_until_ms,
                                               std::string address,
                                               std::shared_ptr<std::atomic<int>> asks_left) {
  const size_t shard = shard_of(server);
  auto make = [this, requester = Requester{true, std::move(address)}, server = std::move(server),
               valid_until_ms, asks_left]() {
    return signed_keys_on_shard(requester, server, valid_until_ms, asks_left);
  };
  co_return co_await runtime::on_shard(parts_.runtime, shard, std::move(make));
}

Task<Result<crypto::VerifyKey>> Keyring::key_on_shard(Requester requester, ServerName server,
                                                      KeyId key, int64_t valid_at_ms) {
  POLDER_CO_TRY(const EntryPtr found, co_await entry(server));
  const bool at_hand = found->find(key, valid_at_ms).has_value();
  (at_hand ? stats_.hits : stats_.misses).add();
  if (!at_hand) POLDER_CO_CHECK(co_await refresh(requester, found));
  const auto known = found->find(key, valid_at_ms);
  if (!known) co_return unknown(server, key);
  if (!requester.stranger) keep(found);
  co_return *known;
}

Task<Result<std::string>> Keyring::signed_keys_on_shard(
    Requester requester, ServerName server, int64_t valid_until_ms,
    std::shared_ptr<std::atomic<int>> asks_left) {
  POLDER_CO_TRY(const EntryPtr found, co_await entry(server));
  if (found->response.empty() || found->valid_until_ms < valid_until_ms) {
    Status refreshed = fail(ErrorCode::kRateLimited, "too many servers would have to be asked");
    if (asks_left->fetch_sub(1) > 0) refreshed = co_await refresh(std::move(requester), found);
    // What is kept is better than nothing: that is what notaries are for.
    if (!refreshed.ok() && found->response.empty()) co_return refreshed.error();
  }
  co_return found->response;
}

// From memory, or from the disk.
Task<Result<Keyring::EntryPtr>> Keyring::entry(ServerName server) {
  Shard& shard = *shards_[shard_of(server)];
  if (auto known = shard.find(server)) co_return known;
  auto read = [&database = parts_.database, server] {
    return stores::read_known_keys(*database.snapshot(), server);
  };
  POLDER_CO_TRY(const auto row, co_await runtime::on_pool(parts_.runtime, std::move(read)));
  // Another task may have been here meanwhile.
  if (auto known = shard.find(server)) co_return known;
  auto made = std::make_shared<Entry>(parts_.runtime);
  made->server = server;
  if (row) {
    made->kept = true;
    made->response = row->response;
    for (const stores::KnownKey& key : row->keys) {
      const auto parsed = crypto::VerifyKey::from_base64(key.key);
      if (!parsed.ok()) continue;
      made->keys.insert_or_assign(key.id, Entry::Key{*parsed, key.valid_until_ms});
    }
    const auto answer = json::parse_object(row->response);
    if (answer.ok()) made->valid_until_ms = answer->find_int("valid_until_ts").value_or(0);
  }
  make_room(shard, made->kept);
  (made->kept ? shard.entries : shard.passing)[server] = made;
  co_return made;
}

// Those for which strangers asked never push out others.
void Keyring::make_room(Shard& shard, bool kept) const {
  Shard::Entries& entries = kept ? shard.entries : shard.passing;
  const size_t count = (kept ? kServersMax : kPassingMax) / shards_.size();
  const size_t bytes = (kept ? kBytesMax : kPassingBytesMax) / shards_.size();
  size_t sum = 0;
  for (const auto& [name, entry] : entries)
    sum += entry->bytes();
  if (entries.size() > count || sum > bytes)
    std::erase_if(entries, [](const auto& other) { return !other.second->fetching; });
}

Task<Status> Keyring::refresh(Requester requester, EntryPtr entry) {
  while (entry->fetching) {
    co_await entry->fetched.wait();
    if (requester.stranger) co_return entry->outcome;
  }
  const auto now = parts_.runtime.clock().steady();
  if (entry->asked && now - *entry->asked < kAskAgain) co_return entry->outcome;
  entry->fetching = true;
  Status outcome = co_await fetch(std::move(requester), entry);
  (outcome.ok() ? stats_.fetched : stats_.not_fetched).add();
  // That there was no place for the question says nothing of the server.
  const bool asked = outcome.ok() || outcome.error().code != ErrorCode::kRateLimited;
  if (asked) entry->asked = now;
  entry->outcome = asked ? outcome : Status(fail(ErrorCode::kUnavailable, outcome.error().message));
  entry->fetching = false;
  entry->fetched.notify_all();
  co_return entry->outcome;
}

// https://spec.matrix.org/v1.19/server-server-api/#get_matrixkeyv2server
Task<Status> Keyring::fetch(Requester requester, EntryPtr entry) {
  transport::Call call;
  const bool stranger = requester.stranger && !entry->kept;
  call.demand = {stranger ? egress::Cause::kStranger : egress::Cause::kRooms,
                 std::move(requester.address)};
  call.tell_if_busy = true;
  call.path = "/_matrix/key/v2/server";
  call.timeout = kFetchTimeout;
  call.body_max = kResponseMax;
  call.authenticated = false;
  // Its keys are asked for because it was heard from, so it may be up again; kAskAgain bounds this.
  call.despite_back_off = true;
  auto answer = co_await parts_.servers.request(entry->server, std::move(call));
  if (!answer.ok()) co_return std::move(answer).error();
  POLDER_CO_TRY(const auto keys, wire::read_server_keys(*answer, entry->server));
  accept(*entry, keys, json::write(*answer));
  co_return Status();
}

// Keys count until valid_until_ts, but at most a week from now; old ones until they expired. One
// that is no longer mentioned keeps the validity that it had.
void Keyring::accept(Entry& entry, const wire::ServerKeys& keys, std::string response) {
  const int64_t now = parts_.runtime.clock().wall_ms();
  const int64_t until = std::min(keys.valid_until_ts, now + kWeekMs);
  if (entry.keys.size() + keys.current.size() + keys.old.size() > kKeysMax) entry.keys.clear();
  for (const auto& [id, key] : keys.current)
    entry.keys.insert_or_assign(id, Entry::Key{key, until});
  for (const auto& [id, old] : keys.old)
    entry.keys.insert_or_assign(id, Entry::Key{old.key, std::min(old.expired_ts, now)});
  entry.valid_until_ms = keys.valid_until_ts;
  entry.response = std::move(response);
  if (entry.kept) write(entry, now);
}

// Somebody here has to do with the server.
void Keyring::keep(const EntryPtr& entry) {
  if (std::exchange(entry->kept, true)) return;
  Shard& shard = *shards_[shard_of(entry->server)];
  shard.passing.erase(entry->server);
  make_room(shard, true);
  shard.entries[entry->server] = entry;
  write(*entry, parts_.runtime.clock().wall_ms());
}

void Keyring::write(const Entry& entry, int64_t now) {
  stores::KnownKeys row;
  row.fetched_ms = now;
  row.response = entry.response;
  for (const auto& [id, key] : entry.keys)
    row.keys.push_back({id, key.key.to_base64(), key.valid_until_ms});
  kv::Batch batch;
  stores::put_known_keys(batch, entry.server, row);
  // A cache: nobody waits, and what is lost is fetched again.
  parts_.committer.enqueue(std::move(batch), kv::Durability::kLazy, [](const auto&) {});
}

}  // namespace polder::keyring
