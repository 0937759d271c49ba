// Ephemeral data on its way to other servers.
#pragma once

#include <chrono>
#include <deque>
#include <string>
#include <vector>

#include "federation/wire/transaction.h"
#include "homeserver/base/runtime/runtime.h"
#include "homeserver/base/values/ids.h"

namespace polder::sender {

struct PendingEdus {
  std::vector<wire::Edu> edus;
  uint64_t token = 0;  // for delivered()
};

// What must reach its destination, however long that takes: messages to devices, changes of device
// lists. Kept by whoever implements it. Called on shard 0.
class EduSource {
 public:
  virtual ~EduSource() = default;
  // The oldest that are not delivered, at most so many. Asked again with the same outcome until
  // delivered() was called. Each is at most 64 KiB.
  virtual Task<Result<PendingEdus>> next(ServerName destination, size_t limit) = 0;
  virtual Task<void> delivered(ServerName destination, uint64_t token) = 0;
  // Destinations for which there are any; asked at start.
  virtual Task<std::vector<ServerName>> waiting() = 0;
};

// What counts for a while only: typing, receipts, presence.
struct ShortLivedEdu {
  wire::Edu edu;
  std::string replaces;  // an older one of the same key is dropped; empty: none
  Millis keep_for{60'000};
};

// The short-lived ones of one destination. Bounded: the oldest make way.
class EduQueue {
 public:
  void push(ShortLivedEdu edu, std::chrono::nanoseconds now);
  bool empty() const { return edus_.empty(); }
  size_t size() const { return edus_.size(); }

  struct Entry {
    wire::Edu edu;
    std::string replaces;
    std::chrono::nanoseconds expires;
    std::string sent_in{};  // the transaction that brought it, and was not answered
  };
  // Those that have not expired, oldest first; of a transaction that is sent again, no others than
  // it had.
  std::vector<Entry> take(size_t limit, std::chrono::nanoseconds now, std::string_view again = {});
  // Puts back what could not be sent, unless something newer replaces it.
  void put_back(std::vector<Entry> entries);

 private:
  std::deque<Entry> edus_;
};

}  // namespace polder::sender
