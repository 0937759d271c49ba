// Keys with which other servers sign, fetched from those servers and kept.
// https://spec.matrix.org/v1.19/server-server-api/#retrieving-server-keys
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "federation/transport/transport.h"
#include "federation/wire/server_keys.h"
#include "homeserver/base/crypto/keys.h"
#include "homeserver/base/metrics/cache.h"
#include "homeserver/base/runtime/runtime.h"
#include "homeserver/base/values/ids.h"
#include "homeserver/rooms/model/ports.h"
#include "storage/kv/committer.h"
#include "storage/kv/kv.h"

namespace polder::keyring {

// All outlive the keyring.
struct KeyringParts {
  runtime::Runtime& runtime;
  kv::Database& database;
  kv::Committer& committer;
  transport::Servers& servers;
  ServerName own_name;
  const crypto::SigningKey& signing_key;
};

struct KeyringStats {
  metrics::Counter hits, misses;          // keys that were known or not
  metrics::Counter fetched, not_fetched;  // requests for keys, by how they ended
};

// Each server belongs to one shard, where its keys are remembered and at most one request for them
// is under way. Callable on any shard.
class Keyring final : public rooms::KeySource {
 public:
  explicit Keyring(KeyringParts parts);
  ~Keyring() override;

  // With valid_at_ms 0, a key counts however old it is: room versions 1 to 4.
  Task<Result<crypto::VerifyKey>> key(ServerName server, KeyId key, int64_t valid_at_ms) override;

  // The same, now, for somebody at an address who has proved nothing: where nobody here has to do
  // with the server, what is fetched is remembered for a moment only, and not written down.
  Task<Result<crypto::VerifyKey>> key_for_stranger(ServerName server, KeyId key, int64_t now_ms,
                                                   std::string address);

  // The last answer of a server to a request for its keys, as it signed it, for a stranger at an
  // address; fetched if what is here is not valid until then, and the stranger may still have
  // servers asked, which is counted down. For the notary's endpoint.
  Task<Result<std::string>> signed_keys(ServerName server, int64_t valid_until_ms,
                                        std::string address,
                                        std::shared_ptr<std::atomic<int>> asks_left);

  const KeyringStats& stats() const { return stats_; }

 private:
  struct Shard;
  struct Entry;
  using EntryPtr = std::shared_ptr<Entry>;

  // Who wants a key: the rooms, or a stranger at an address.
  struct Requester {
    bool stranger = false;
    std::string address;
  };
  size_t shard_of(const ServerName& server) const;
  Task<Result<crypto::VerifyKey>> key_for(Requester requester, ServerName server, KeyId key,
                                          int64_t valid_at_ms);
  Task<Result<crypto::VerifyKey>> key_on_shard(Requester requester, ServerName server, KeyId key,
                                               int64_t valid_at_ms);
  Task<Result<std::string>> signed_keys_on_shard(Requester requester, ServerName server,
                                                 int64_t valid_until_ms,
                                                 std::shared_ptr<std::atomic<int>> asks_left);
  Task<Result<EntryPtr>> entry(ServerName server);
  // Asks the server, or waits for the request that is under way.
  Task<Status> refresh(Requester requester, EntryPtr entry);
  Task<Status> fetch(Requester requester, EntryPtr entry);
  void accept(Entry& entry, const wire::ServerKeys& keys, std::string response);
  void keep(const EntryPtr& entry);
  void write(const Entry& entry, int64_t now);
  void make_room(Shard& shard, bool kept) const;

  KeyringParts parts_;
  std::vector<std::unique_ptr<Shard>> shards_;
  KeyringStats stats_;
};

}  // namespace polder::keyring
