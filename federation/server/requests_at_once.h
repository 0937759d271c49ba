// How many requests of one server are under way: one that sends many slow ones must not have all of
// the pool's threads. Thread-safe; what it holds is as much as there are requests under way.
#pragma once

#include <map>
#include <optional>
#include <utility>

#include "homeserver/base/values/ids.h"
#include "homeserver/base/values/mutex.h"

namespace polder::federation_server {

class RequestsAtOnce {
 public:
  explicit RequestsAtOnce(size_t max) : max_(max) {}

  // Held while a request is under way; the count outlives it.
  class Permit {
   public:
    Permit(RequestsAtOnce* count, ServerName server) : count_(count), server_(std::move(server)) {}
    Permit(Permit&& other) noexcept
        : count_(std::exchange(other.count_, nullptr)), server_(std::move(other.server_)) {}
    Permit& operator=(Permit&&) = delete;
    ~Permit() {
      if (count_ != nullptr) count_->leave(server_);
    }

   private:
    RequestsAtOnce* count_;
    ServerName server_;
  };

  // Nothing if as many as may be are under way.
  std::optional<Permit> enter(const ServerName& server) {
    const base::Lock lock(mutex_);
    size_t& running = running_[server];
    if (running >= max_) return std::nullopt;
    ++running;
    return std::optional<Permit>(std::in_place, this, server);
  }

 private:
  void leave(const ServerName& server) {
    const base::Lock lock(mutex_);
    const auto found = running_.find(server);
    if (--found->second == 0) running_.erase(found);
  }

  const size_t max_;
  base::Mutex mutex_;
  std::map<ServerName, size_t> running_ GUARDED_BY(mutex_);
};

}  // namespace polder::federation_server
