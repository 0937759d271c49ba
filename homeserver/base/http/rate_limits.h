// How often somebody may ask, and what is answered to who asks too often.
// https://spec.matrix.org/v1.19/client-server-api/#rate-limiting
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "homeserver/base/http/message.h"
#include "homeserver/base/metrics/metrics.h"
#include "homeserver/base/values/environment.h"

namespace polder::http {

// What is counted together. Routes name one of those up to kFederation; those of log-ins are
// counted by the handlers that log in, for the account, and of tokens by authentication.
enum class RateClass : uint8_t {
  kNone,
  kCheap,         // what has no class of its own
  kLogin,         // logging in, changing a password, deactivating
  kRegistration,  // and asking whether a name is free
  kMessage,       // what makes an event, but for joins
  kJoin,          // joining, knocking, creating rooms
  kMedia,
  kFederation,
  kLoginAccount,  // log-ins that succeeded
  kLoginFailed,   // wrong passwords
  kTokenFailed,   // wrong access tokens, and none where one is needed
};
inline constexpr size_t kRateClasses = 11;
std::string_view to_string(RateClass rate);

// A bucket of `burst` tokens that fills up at so many a second; a request takes one.
struct RateRule {
  double per_second = 1;  // from 0.001
  int64_t burst = 1;      // from 1, at most a million
};
using RateRules = std::array<RateRule, kRateClasses>;  // by class; that of kNone is not used

// Synapse's defaults are for servers on which anybody may register and are too low for an
// administration, whose people share the address of their office and whose clients send more
// than messages: reactions, edits, calls, an invitation for each of a team. These stop programs
// that run wild and guessing of passwords, and no person.
constexpr RateRules default_rate_rules() {
  return {{
      {},          // kNone
      {50, 500},   // kCheap: starting Element in some hundred rooms takes a few hundred requests
      {0.5, 30},   // kLogin: an office's people on a Monday morning; Synapse: 0.003, 5
      {0.2, 20},   // kRegistration: two requests each, and some for the name; Synapse: 0.17, 3
      {5, 100},    // kMessage: faster than anybody types, for ever; Synapse: 0.2, 10
      {0.5, 30},   // kJoin: all rooms of a space; Synapse: 0.1, 10 (of other servers: 0.01)
      {50, 500},   // kMedia: the pictures of a long list of members
      {50, 1000},  // kFederation: a server that catches up asks for hundreds of events
      {0.1, 20},   // kLoginAccount; Synapse: 0.003, 5
      {0.17, 5},   // kLoginFailed: six hours for the 4,000 likeliest passwords; Synapse: 0.17, 3
      {5, 200},    // kTokenFailed: an office whose sessions have all ended
  }};
}

// Who asks. Kinds do not share memory: many addresses cannot crowd out users.
struct Principal {
  enum class Kind : uint8_t { kUser, kAddress, kServer, kAccount };
  Kind kind = Kind::kAddress;
  std::string_view name;
};

// Token buckets, one for each class and principal, in tables of fixed size.
//
// A bucket that is full again says nothing and is dropped first. While none of the few places that
// a bucket can have is free, the fullest goes. So whoever comes with many names loses their own
// newest buckets, and to get rid of an empty bucket they would have to empty all others beside it,
// without knowing which those are, since places follow from a hash with a secret key.
//
// Thread-safe. Shared by all shards, because connections of one client are on several; each table
// is in parts with a mutex each, so that two requests meet only if they are of the same principal
// or, rarely, by chance, and then not for long: all of take() is 0.17 microseconds. Memory comes
// with first use.
class RateLimits {
 public:
  // All outlive it. Not enabled, it counts nothing and lets everything pass.
  RateLimits(const Clock& clock, Random& random, Log& log, bool enabled, const RateRules& rules);
  ~RateLimits();

  // Counts a request: nothing if it may go on, else how long to wait. A refusal costs nothing, and
  // is logged at most once a minute for a principal.
  std::optional<Millis> take(RateClass rate, Principal principal);
  // What take() would say, without counting.
  std::optional<Millis> look(RateClass rate, Principal principal);
  // Takes back the count of a request that turned out not to be of the class.
  void give_back(RateClass rate, Principal principal);

  // How many of the class were told to wait, ever.
  uint64_t refusals(RateClass rate) const { return refusals_[static_cast<size_t>(rate)].value(); }

 private:
  struct Table;
  struct Place;
  Place place_of(RateClass rate, Principal principal);
  std::optional<Millis> ask(RateClass rate, Principal principal, bool takes);

  const Clock& clock_;
  Log& log_;
  const bool enabled_;
  const RateRules rules_;
  const std::array<uint8_t, 16> hash_key_;
  std::array<metrics::Counter, kRateClasses> refusals_;
  std::array<std::unique_ptr<Table>, 4> tables_;  // by kind
};

// 429 M_LIMIT_EXCEEDED, with the wait in milliseconds in the body and in whole seconds, rounded up,
// in the header Retry-After.
Response limited(Millis wait, std::string_view error = "Too many requests");
// For what is over soon, nobody knows when: too much at once.
inline constexpr Millis kSoon{5'000};

}  // namespace polder::http
