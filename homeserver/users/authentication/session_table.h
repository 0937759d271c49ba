// Authentication sessions under way, in memory: who is asked while the server starts anew is asked
// again.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>

#include "homeserver/base/values/environment.h"
#include "homeserver/base/values/mutex.h"
#include "homeserver/users/authentication/authentication_session.h"

namespace polder::users {

struct SessionBounds {
  size_t of_owner = 10;                   // sessions
  size_t bytes = size_t{16} << 20;        // of all together
  Millis age = std::chrono::minutes(30);  // from their beginning
};

// Sessions belong to who began them. Whoever begins too many loses their own oldest; where there
// are too many of all, the oldest of the owner with the most bytes goes. So a flood takes nothing
// from anybody else, unless it comes from as many owners as fit, each with as much as others have.
// Thread-safe.
class SessionTable {
 public:
  // Both outlive it.
  SessionTable(const Clock& clock, Random& random, SessionBounds bounds)
      : clock_(clock), random_(random), bounds_(bounds) {}

  // Its id: random, and no other's ever.
  std::string add(std::string owner, AuthenticationSession session);
  // As it is; nothing if it is not there, any more.
  std::optional<AuthenticationSession> find(std::string_view id);
  // As it has become, without living longer for it; of one that is gone, nothing. Who changes a
  // session sees to it that nobody else does meanwhile.
  void update(std::string_view id, AuthenticationSession session);
  size_t size();
  size_t bytes();

 private:
  struct Entry {
    std::string id;
    std::string owner;
    std::chrono::nanoseconds until{};
    AuthenticationSession session;
  };
  using Number = uint64_t;  // in the order of their beginning
  struct Owner {
    std::set<Number> sessions;
    size_t bytes = 0;
  };
  // Most bytes last; of equal ones who has the oldest.
  using Rank = std::tuple<size_t, Number, std::string>;
  static Rank rank_of(const std::string& name, const Owner& owner);

  void forget(Number number) REQUIRES(mutex_);
  void forget_old() REQUIRES(mutex_);
  void make_room() REQUIRES(mutex_);
  void count(const Entry& entry, Number number, bool comes) REQUIRES(mutex_);

  const Clock& clock_;
  Random& random_;
  const SessionBounds bounds_;
  base::Mutex mutex_;
  Number next_ GUARDED_BY(mutex_) = 1;
  size_t bytes_ GUARDED_BY(mutex_) = 0;
  std::map<Number, Entry> entries_ GUARDED_BY(mutex_);
  std::map<std::string, Number, std::less<>> numbers_ GUARDED_BY(mutex_);  // by id
  std::map<std::string, Owner> owners_ GUARDED_BY(mutex_);
  std::set<Rank> ranks_ GUARDED_BY(mutex_);  // of all owners
};

}  // namespace polder::users
