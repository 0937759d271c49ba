// A history: users of several servers act at random while servers crash and the network fails, all
// decided by one seed; then everything is healed, and what must hold is checked.
//
// To add to it: a row in kActions (actions.cc), kFaults (faults.cc) or kOracles (oracles.cc).
#pragma once

#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tests/simulation/facts.h"
#include "tests/simulation/world.h"

namespace polder::simulation {

struct Plan {
  uint64_t seed = 1;
  size_t servers = 2;
  size_t users = 2;  // of each server
  size_t steps = 150;
  bool federated = true;  // users meet users of other servers
  bool faults = true;
  size_t hostile = 0;    // of the servers, the last ones
  bool watched = false;  // all that happens is printed
};

struct Outcome {
  uint64_t trace_hash = 0;
  std::vector<std::string> findings;  // empty: everything held
  size_t acknowledged = 0;            // events
  size_t crashes = 0;
};

// The same plan gives the same outcome.
Outcome run_history(const Plan& plan);

// A user with one device, who syncs all the time. What is known of rooms is what sync told.
struct User {
  std::string id;
  size_t server = 0;
  std::string token;
  std::string device;
  std::string since;
  std::map<std::string, std::string> memberships;     // room -> join, invite, leave
  std::map<std::string, std::set<std::string>> seen;  // room -> events of the timeline, since...
  std::set<std::string> gaps;                         // ...but not all: a timeline was limited
  std::map<std::string, std::string> newest;          // room -> the last event
  std::map<std::string, int> messages;                // to the device: its id -> how often it came
  uint64_t transactions = 0;
};

struct KnownRoom {
  std::string id;
  size_t server = 0;  // where it was made
  bool is_public = false;
};

struct AcknowledgedEvent {
  std::string room;
  std::string id;
  size_t server = 0;  // that acknowledged it
  bool redactable = false;
};

// A message to a device. If it was not acknowledged, it may have come or not.
struct DeviceMessage {
  std::string id;
  const User* to = nullptr;
  bool acknowledged = false;
};

class History {
 public:
  explicit History(const Plan& plan);

  Outcome run();

  const Plan& plan() const { return plan_; }
  World& world() { return world_; }
  uint64_t below(uint64_t bound) { return world_.random().below(bound); }
  // Nothing is asked of hostile servers.
  bool is_honest(size_t server) const { return server + plan_.hostile < plan_.servers; }
  bool one_in(uint64_t count) { return below(count) == 0; }
  // A server was told a state of a room that never was there, or is misled itself who told it. The
  // protocol gives no proof of a state: what follows from it is what the others have only by
  // chance.
  void mislead(const std::string& server, const std::string& room) {
    misled_.emplace(server, room);
  }
  bool is_misled(const std::string& server, const std::string& room) const {
    return misled_.contains({server, room});
  }
  void finding(std::string text);

  // --- For actions. ---
  std::vector<std::unique_ptr<User>>& users() { return users_; }
  // Somebody else whom the user may meet; null if there is nobody.
  const User* somebody_else(const User& user);
  // A room in which the user has this membership; empty if there is none.
  std::string room_with(const User& user, std::string_view membership);
  std::vector<KnownRoom>& rooms() { return rooms_; }
  std::vector<AcknowledgedEvent>& events() { return events_; }
  DeviceMessage& new_message(const User& to);
  std::string next_transaction(User& user);

  // Asks once; the outcome may stay unknown (status 0).
  void ask(User& user, std::string method, std::string target, std::string body,
           OnAnswer on_answer);
  // Asks again, as clients do, until there is an answer. For requests that may be repeated.
  void insist(User& user, std::string method, std::string target, std::string body,
              OnAnswer on_answer, int attempts = 0);
  // insist(), and the answer has the id of an event that must never be lost.
  void send(User& user, std::string method, const std::string& room, const std::string& rest,
            std::string body, bool redactable = false);

  // --- For faults. ---
  void crash(size_t server);
  // Between steps, once so much time has passed or everything is healed.
  void later(Millis delay, std::function<void()> what);
  void count_crash() { ++crashes_; }

  // --- For oracles. ---
  const std::vector<std::unique_ptr<DeviceMessage>>& messages() const { return messages_; }

 private:
  void register_users();
  void sync(User& user);
  void take_sync(User& user, const Answer& answer);
  void take_room(User& user, const std::string& room, const json::Object& joined);
  void step();
  void pause();
  void recover(bool all);
  void settle();
  void rejoin_half_joined();
  void last_words();
  void last_word(size_t server, const std::string& room, const RoomFacts& facts);

  struct Recovery {
    std::chrono::nanoseconds due{0};
    std::function<void()> what;
  };

  const Plan plan_;
  World world_;
  std::vector<std::unique_ptr<User>> users_;
  std::vector<KnownRoom> rooms_;
  std::vector<AcknowledgedEvent> events_;
  std::vector<std::unique_ptr<DeviceMessage>> messages_;
  std::vector<Recovery> recoveries_;
  std::vector<std::string> findings_;
  std::set<std::pair<std::string, std::string>> misled_;  // servers and rooms
  size_t unanswered_ = 0;                                 // requests on which somebody insists
  size_t crashes_ = 0;
  bool ended_ = false;
};

// One thing that a user does; false if there is nothing to do it to.
struct Action {
  std::string_view name;
  uint32_t weight = 0;
  bool (*act)(History& history, User& user) = nullptr;
};
std::span<const Action> actions();

// One thing that goes wrong, with what heals it.
struct Fault {
  std::string_view name;
  uint32_t weight = 0;
  void (*strike)(History& history) = nullptr;
};
std::span<const Fault> faults();

// One thing that must hold once everything has settled.
struct Oracle {
  std::string_view name;
  void (*check)(History& history) = nullptr;
};
std::span<const Oracle> oracles();

// A row of a table, each as likely as its weight.
template <class Row>
const Row& pick(Random& random, std::span<const Row> rows) {
  uint64_t total = 0;
  for (const Row& row : rows)
    total += row.weight;
  uint64_t at = random.below(total);
  for (const Row& row : rows) {
    if (at < row.weight) return row;
    at -= row.weight;
  }
  return rows.back();
}

}  // namespace polder::simulation
