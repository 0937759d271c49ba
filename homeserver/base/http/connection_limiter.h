// Who may come in: connections are counted by where they come from and where they arrive, so that
// nobody takes the slots of all others. Private to this module; thread-safe.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "homeserver/base/http/limits.h"
#include "homeserver/base/metrics/metrics.h"
#include "homeserver/base/values/environment.h"
#include "homeserver/base/values/ip_address.h"
#include "homeserver/base/values/mutex.h"

namespace polder::http {

class ConnectionLimiter {
 public:
  // What is counted of one connection. It leaves when this dies; the limiter outlives it.
  class Slot {
   public:
    Slot(Slot&& other) noexcept;
    Slot& operator=(Slot&&) = delete;
    ~Slot();

   private:
    friend class ConnectionLimiter;
    Slot(ConnectionLimiter& limiter, size_t listener) : limiter_(&limiter), listener_(listener) {}
    ConnectionLimiter* limiter_;
    size_t listener_;
    std::string address_, network_;  // keys of the count; empty: not counted
  };

  // Clock and log outlive it. `event` is what the log calls a refusal.
  ConnectionLimiter(const Clock& clock, Log& log, std::string event, ConnectionLimits limits);

  // A slot for one more, or nothing: that is counted and said in the log once a minute. An address
  // behind which there are many (a reverse proxy) is bounded by listener only.
  std::optional<Slot> admit(const IpAddress& address, size_t listener, bool stands_for_many);
  size_t inside() const;
  bool full() const { return inside() >= limits_.all; }
  uint64_t refusals() const { return refusals_.value(); }  // ever

 private:
  size_t count_of(const std::string& key) const REQUIRES(mutex_);
  std::optional<std::string_view> full(const Slot& slot) REQUIRES(mutex_);
  void leave(const Slot& slot);
  void refused(std::string_view by, const IpAddress& address);

  const Clock& clock_;
  Log& log_;
  const std::string event_;
  const ConnectionLimits limits_;
  metrics::Counter refusals_;
  mutable base::Mutex mutex_;
  size_t inside_ GUARDED_BY(mutex_) = 0;
  std::vector<size_t> listeners_ GUARDED_BY(mutex_);
  std::unordered_map<std::string, size_t> peers_
      GUARDED_BY(mutex_);                    // by bytes of the address's prefix
  uint64_t refused_ GUARDED_BY(mutex_) = 0;  // and not yet told of
  std::optional<std::chrono::nanoseconds> told_ GUARDED_BY(mutex_);
};

}  // namespace polder::http
