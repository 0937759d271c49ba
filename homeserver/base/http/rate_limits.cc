#include "homeserver/base/http/rate_limits.h"

#include <algorithm>
#include <string>
#include <vector>

#include "homeserver/base/crypto/hash.h"
#include "homeserver/base/http/router.h"
#include "homeserver/base/values/ip_address.h"
#include "homeserver/base/values/mutex.h"

namespace polder::http {
namespace {

constexpr size_t kParts = 64;          // of a table, each with a mutex
constexpr size_t kSetsInPart = 32;     // of places
constexpr size_t kPlacesInSet = 16;    // where a bucket can be: 32,768 in a table, 1 MiB
constexpr size_t kNetworkBitsV6 = 64;  // what one subscriber has at least
constexpr int64_t kMinute = 60'000'000'000;
constexpr int64_t kNever = INT64_MIN;

constexpr std::array<std::string_view, kRateClasses> kClassNames = {
    "none",  "cheap",      "login",         "registration", "message",     "join",
    "media", "federation", "login_account", "login_failed", "token_failed"};

// A rule in nanoseconds, so that a bucket is one number: when it will be full again.
struct Refill {
  int64_t token;  // that one token takes to come
  int64_t whole;  // that an empty bucket takes
};

Refill pace_of(const RateRule& rule) {
  const auto token = static_cast<int64_t>(1e9 / rule.per_second);
  return {token, token * rule.burst};
}

struct Bucket {
  uint64_t key = 0;  // 0: no bucket
  int64_t full_at = 0;
  int64_t logged_at = kNever;
  int64_t whole = 1;  // of its pace
};

// What is missing of a full one, from 0 to 1.
double missing(const Bucket& bucket, int64_t now) {
  return bucket.key == 0 || bucket.full_at <= now
             ? 0
             : static_cast<double>(bucket.full_at - now) / static_cast<double>(bucket.whole);
}

std::array<uint8_t, 16> make_hash_key(Random& random, bool enabled) {
  std::array<uint8_t, 16> key{};
  if (enabled) random.fill(key);
  return key;
}

// Addresses of one IPv6 subscriber are one: they have 2^64 to choose from.
std::string name_of(const Principal& principal) {
  if (principal.kind == Principal::Kind::kAddress) {
    const auto address = IpAddress::parse(principal.name);
    if (address && !address->is_v4()) return address->prefix(kNetworkBitsV6).str();
  }
  return std::string(principal.name);
}

}  // namespace

std::string_view to_string(RateClass rate) {
  return kClassNames[static_cast<size_t>(rate)];
}

struct RateLimits::Table {
  struct Part {
    base::Mutex mutex;
    std::vector<Bucket> buckets GUARDED_BY(mutex);  // empty until first use
  };
  std::array<Part, kParts> parts;
};

// Where the bucket of a class and a principal is or may be.
struct RateLimits::Place {
  Table::Part& part;
  uint64_t key;
  Refill pace;

  std::span<Bucket> set() const REQUIRES(part.mutex) {
    if (part.buckets.empty()) part.buckets.resize(kSetsInPart * kPlacesInSet);
    const size_t first = key / kParts % kSetsInPart * kPlacesInSet;
    return std::span(part.buckets).subspan(first, kPlacesInSet);
  }
  Bucket* find() const REQUIRES(part.mutex) {
    const auto buckets = set();
    const auto found = std::ranges::find(buckets, key, &Bucket::key);
    return found != buckets.end() ? &*found : nullptr;
  }
  Bucket& find_or_make(int64_t now) const REQUIRES(part.mutex) {
    if (Bucket* found = find()) return *found;
    Bucket& fullest =
        *std::ranges::min_element(set(), {}, [now](const Bucket& b) { return missing(b, now); });
    fullest = Bucket{.key = key, .full_at = now, .whole = pace.whole};
    return fullest;
  }
};

RateLimits::RateLimits(const Clock& clock, Random& random, Log& log, bool enabled,
                       const RateRules& rules)
    : clock_(clock),
      log_(log),
      enabled_(enabled),
      rules_(rules),
      hash_key_(make_hash_key(random, enabled)) {
  for (auto& table : tables_)
    table = std::make_unique<Table>();
}

RateLimits::~RateLimits() = default;

RateLimits::Place RateLimits::place_of(RateClass rate, Principal principal) {
  const uint64_t hash = crypto::keyed_hash(
      hash_key_, std::string(1, static_cast<char>(rate)).append(name_of(principal)));
  const uint64_t key = std::max<uint64_t>(hash, 1);
  Table& table = *tables_[static_cast<size_t>(principal.kind)];
  return {table.parts[key % kParts], key, pace_of(rules_[static_cast<size_t>(rate)])};
}

std::optional<Millis> RateLimits::ask(RateClass rate, Principal principal, bool takes) {
  if (!enabled_ || rate == RateClass::kNone) return std::nullopt;
  const Place place = place_of(rate, principal);
  const int64_t now = clock_.steady().count();
  std::optional<Millis> wait;
  bool tell = false;
  {
    const base::Lock lock(place.part.mutex);
    Bucket* bucket = takes ? &place.find_or_make(now) : place.find();
    if (bucket == nullptr) return std::nullopt;
    const int64_t full_at = std::max(bucket->full_at, now) + place.pace.token;
    if (full_at - now <= place.pace.whole) {
      if (takes) bucket->full_at = full_at;
      return std::nullopt;
    }
    wait = std::chrono::ceil<Millis>(std::chrono::nanoseconds(full_at - now - place.pace.whole));
    tell = bucket->logged_at == kNever || now - bucket->logged_at >= kMinute;
    if (tell) bucket->logged_at = now;
  }
  refusals_[static_cast<size_t>(rate)].add();
  if (tell)
    log_.info("rate_limited",
              {{"class", to_string(rate)}, {"who", principal.name}, {"wait_ms", wait->count()}});
  return wait;
}

std::optional<Millis> RateLimits::take(RateClass rate, Principal principal) {
  return ask(rate, principal, true);
}

std::optional<Millis> RateLimits::look(RateClass rate, Principal principal) {
  return ask(rate, principal, false);
}

void RateLimits::give_back(RateClass rate, Principal principal) {
  if (!enabled_ || rate == RateClass::kNone) return;
  const Place place = place_of(rate, principal);
  const base::Lock lock(place.part.mutex);
  if (Bucket* bucket = place.find()) bucket->full_at -= place.pace.token;
}

Response limited(Millis wait, std::string_view error) {
  Response response = error_response(429, "M_LIMIT_EXCEEDED", error, wait);
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(wait);
  response.headers.set("Retry-After", std::to_string(seconds.count()));
  // Else scripts in browsers cannot read it.
  response.headers.set("Access-Control-Expose-Headers", "Retry-After");
  return response;
}

}  // namespace polder::http
