// Slots for requests that are under way, and for the bytes of their answers: nobody, neither who
// causes requests nor where they go, can take what others need (docs/architecture.md, decisions 12
// and 23).
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "homeserver/base/runtime/runtime.h"
#include "homeserver/base/values/mutex.h"

namespace polder::egress {

// Why a request is made. Each has slots of its own.
enum class Cause : uint8_t {
  kUser,      // a user of this server asks, and waits
  kRooms,     // what rooms and their members need: events, states, keys, devices
  kStranger,  // whoever asked has proved nothing yet
  kSender,    // what other servers are to be told
  kMedia,     // files of other servers
};
inline constexpr size_t kCauses = 5;

struct Demand {
  Cause cause = Cause::kRooms;
  std::string by{};    // on whose behalf: an address, a user; empty: nobody in particular
  Millis line_max{0};  // waiting for a slot, beyond the time that the request has
};

// What one cause may have at once.
struct Share {
  size_t prompt = 0;   // requests that go well, or have just begun
  size_t slow = 0;     // requests that do not; beyond these the longest of them are ended
  size_t of_host = 0;  // requests to one network address, whatever its ports and names
  size_t of_one = 0;   // requests on behalf of one
  size_t waiting = 0;  // requests in line, of one network address; 0: none waits
  size_t bytes = 0;    // of answers that are held
};
inline constexpr std::array<Share, kCauses> kShares = {{
    {128, 64, 16, 64, 64, size_t{96} << 20},
    {128, 64, 32, 64, 128, size_t{384} << 20},
    {32, 16, 2, 4, 4, size_t{8} << 20},
    {200, 100, 8, 8, 10'000, size_t{16} << 20},
    {32, 16, 4, 8, 16, size_t{384} << 20},
}};
// The same of look-ups of names, where a host is a domain with all that is below it. None of them
// is slow: the resolver gives up by itself.
inline constexpr std::array<Share, kCauses> kLookUpShares = {{
    {128, 0, 16, 32, 64, 0},
    {128, 0, 16, 64, 128, 0},
    {32, 0, 4, 4, 4, 0},
    {256, 0, 16, 16, 10'000, 0},
    {32, 0, 4, 8, 16, 0},
}};
inline constexpr size_t kWaitingMax = 20'000;  // in all lines of one cause
// How long a request may be about to go well, and the bytes in that time by which it does.
inline constexpr Millis kPromptTime{5'000};
inline constexpr uint64_t kPromptBytes = 256 * 1024;

// All slots of a process. Thread-safe; called on shards.
class Slots : public std::enable_shared_from_this<Slots> {
 public:
  using Shares = std::array<Share, kCauses>;
  explicit Slots(runtime::Runtime& runtime, const Shares& shares = kShares)
      : runtime_(runtime), shares_(shares) {}

  // Held while a request is under way, and given back when it dies. Used on its shard.
  class Slot {
   public:
    Slot(std::shared_ptr<Slots> slots, Demand demand, std::string host);
    ~Slot();
    Slot(const Slot&) = delete;
    Slot& operator=(const Slot&) = delete;
    // The request does not go well. `end` is called, on this shard, if it must make way for others
    // that do not either; until the slot is given back.
    void becomes_slow(std::function<void()> end);

   private:
    friend class Slots;
    const std::shared_ptr<Slots> slots_;
    const Demand demand_;
    const std::string host_;
    const size_t shard_;
    bool slow_ = false;  // under the mutex of the slots, as is the next
    bool making_way_ = false;
    std::shared_ptr<std::function<void()>> end_;  // touched on the shard
  };
  using SlotPtr = std::shared_ptr<Slot>;

  // A slot for a request to a network address; waits in line until then, fairly between addresses.
  // kRateLimited if there is none in time.
  Task<Result<SlotPtr>> take(Demand demand, std::string host, std::chrono::nanoseconds until);

  // Room for bytes of an answer; false if there is none. Given back by release().
  bool hold(Cause cause, size_t bytes);
  void release(Cause cause, size_t bytes);

  size_t under_way(Cause cause) const;
  size_t in_line(Cause cause) const;
  size_t held(Cause cause) const;

 private:
  struct Waiter {
    Demand demand;
    bool decided = false;
    bool granted = false;
    std::function<void()> resume;
  };
  using WaiterPtr = std::shared_ptr<Waiter>;
  struct Host {
    size_t running = 0;
    std::deque<WaiterPtr> line;
    bool in_turns = false;
  };
  struct Usage {
    size_t prompt = 0;
    size_t slow = 0;
    size_t bytes = 0;
    size_t waiting = 0;
    std::map<std::string, Host> hosts;
    std::map<std::string, size_t> of_one;
    std::deque<std::string> turns;  // addresses for which somebody waits
    std::list<Slot*> slow_ones;     // the longest first
  };

  Usage& usage(Cause cause) REQUIRES(mutex_) { return usage_[static_cast<size_t>(cause)]; }
  const Share& share(Cause cause) const { return shares_[static_cast<size_t>(cause)]; }

  bool fits(const Demand& demand, const std::string& host) REQUIRES(mutex_);
  bool has_share(const Demand& demand) REQUIRES(mutex_);
  void count(const Demand& demand, const std::string& host) REQUIRES(mutex_);
  void give_back(Slot& slot, std::vector<WaiterPtr>& woken) REQUIRES(mutex_);
  std::vector<WaiterPtr> next_in_line(Cause cause) REQUIRES(mutex_);
  void make_way(Cause cause) REQUIRES(mutex_);
  void forget_if_idle(Usage& usage, const std::string& host) REQUIRES(mutex_);

  void give_up(const WaiterPtr& waiter, const std::string& host);
  static void wake(const std::vector<WaiterPtr>& woken);

  runtime::Runtime& runtime_;
  const Shares shares_;
  mutable base::Mutex mutex_;
  std::array<Usage, kCauses> usage_ GUARDED_BY(mutex_);
};

}  // namespace polder::egress
