// Transactions from other servers, each processed once.
// https://spec.matrix.org/v1.19/server-server-api/#transactions
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "federation/server/api.h"
#include "homeserver/base/runtime/sync.h"

namespace polder::federation_server {

// One origin belongs to one shard, where its transactions follow one another. Callable on any
// shard.
class Transactions {
 public:
  explicit Transactions(Api& api);
  ~Transactions();

  // The answer's JSON. One that arrives again while it is under way gets the answer of the first;
  // later, its events are known. An error means that it was not processed as a whole, and must come
  // again: kInvalid, kTooLarge, kRateLimited, kReadOnly.
  Task<Result<std::string>> receive(ServerName origin, std::string id, std::string body);

 private:
  struct Running;
  struct Origin;
  using Shard = std::map<ServerName, std::unique_ptr<Origin>>;

  Task<Result<std::string>> receive_on_shard(ServerName origin, std::string id, std::string body);

  Api& api_;
  std::vector<Shard> shards_;
};

}  // namespace polder::federation_server
