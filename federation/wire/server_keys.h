// What servers publish of their signing keys.
// https://spec.matrix.org/v1.19/server-server-api/#get_matrixkeyv2server
// Pure; thread-safe.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "homeserver/base/crypto/keys.h"
#include "homeserver/base/json/value.h"
#include "homeserver/base/values/ids.h"

namespace polder::wire {

// A key with which a server signed before.
struct OldKey {
  crypto::VerifyKey key;
  int64_t expired_ts = 0;
};

struct ServerKeys {
  ServerName server;
  int64_t valid_until_ts = 0;
  std::map<KeyId, crypto::VerifyKey> current;
  std::map<KeyId, OldKey> old;
};

// The signed answer to a request for one's own keys.
json::Object write_server_keys(const ServerName& server, const crypto::SigningKey& key,
                               const std::map<KeyId, OldKey>& old, int64_t valid_until_ts);

// The keys in another server's answer. Current keys count only if they sign the answer, so that
// nobody can publish another's key as its own; kBadSignature if none does. kInvalid if the answer
// is of another server or has not the right shape, kTooLarge for absurdly many keys.
Result<ServerKeys> read_server_keys(const json::Object& answer, const ServerName& server);

}  // namespace polder::wire
