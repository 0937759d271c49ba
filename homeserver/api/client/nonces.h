// Nonces that nobody keeps until they are used: each says until when it is good and proves that it
// was made here, so that asking for many takes nothing from anybody. Thread-safe.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "homeserver/base/values/environment.h"
#include "homeserver/base/values/mutex.h"

namespace polder::client_api {

class Nonces {
 public:
  static constexpr int64_t kLifetimeMs = 300'000;

  explicit Nonces(Random& random) : key_(random.bytes(32)) {}

  std::string make(Random& random, int64_t now_ms) const;
  bool good(std::string_view nonce, int64_t now_ms) const;
  // Marks a good one as used; false if it was before. Called only for who has proved to know the
  // secret: only they take memory, until the nonce is no longer good.
  bool use(std::string_view nonce, int64_t now_ms);

 private:
  std::string seal(std::string_view text) const;

  const std::string key_;
  base::Mutex mutex_;
  std::map<std::string, int64_t, std::less<>> used_ GUARDED_BY(mutex_);  // until when they are good
};

}  // namespace polder::client_api
