#include "tests/simulation/history.h"

#include <algorithm>
#include <cstdio>

#include "tests/simulation/hostile.h"
#include "tests/simulation/stale_state.h"

namespace polder::simulation {
namespace {

constexpr size_t kFindingsMax = 20;
constexpr int kAttemptsMax = 300;
constexpr uint64_t kStepsBetweenFaults = 25;
constexpr uint64_t kStepsBetweenMisdeeds = 10;
constexpr Millis kAnsweredWithin{20 * 60'000};
constexpr Millis kSettledWithin{4 * 60'000};

}  // namespace

Outcome run_history(const Plan& plan) {
  History history(plan);
  return history.run();
}

History::History(const Plan& plan) : plan_(plan), world_(plan.seed, plan.servers) {
  for (size_t i = 0; plan.hostile > 0 && i < plan.servers; ++i)
    log_stale_state(*this, i);
  if (!plan.watched) return;
  world_.simulation().watch([this](std::string_view what) {
    std::printf("%8.3f %.*s\n",
                std::chrono::duration<double>(world_.simulation().clock().steady()).count(),
                static_cast<int>(what.size()), what.data());
  });
}

void History::finding(std::string text) {
  if (findings_.size() < kFindingsMax) findings_.push_back(std::move(text));
}

Outcome History::run() {
  register_users();
  for (size_t i = 0; i < plan_.steps; ++i)
    step();
  world_.simulation().trace("settle");
  settle();
  for (const Oracle& oracle : oracles())
    oracle.check(*this);
  ended_ = true;
  return {world_.simulation().trace_hash(), findings_, events_.size(), crashes_};
}

void History::register_users() {
  size_t registered = 0;
  for (size_t i = 0; i < plan_.servers * plan_.users; ++i) {
    users_.push_back(std::make_unique<User>());
    User& user = *users_.back();
    user.server = i % plan_.servers;
    const std::string name = "user" + std::to_string(i);
    ask(user, "POST", "/_matrix/client/v3/register",
        R"({"username":")" + name + R"(","auth":{"type":"m.login.dummy"}})",
        [&user, &registered](const Answer& answer) {
          user.id = answer.text({"user_id"});
          user.token = answer.text({"access_token"});
          user.device = answer.text({"device_id"});
          ++registered;
        });
  }
  if (!world_.run_until([&] { return registered == users_.size(); }, kAnsweredWithin))
    finding("users cannot register");
  for (const auto& user : users_)
    sync(*user);
}

const User* History::somebody_else(const User& user) {
  std::vector<const User*> others;
  for (const auto& other : users_) {
    if (other->id != user.id && (plan_.federated || other->server == user.server))
      others.push_back(other.get());
  }
  return others.empty() ? nullptr : others[below(others.size())];
}

std::string History::room_with(const User& user, std::string_view membership) {
  std::vector<std::string> found;
  for (const auto& [room, having] : user.memberships) {
    if (having == membership) found.push_back(room);
  }
  return found.empty() ? "" : found[below(found.size())];
}

DeviceMessage& History::new_message(const User& to) {
  messages_.push_back(std::make_unique<DeviceMessage>());
  messages_.back()->id = "message" + std::to_string(messages_.size());
  messages_.back()->to = &to;
  return *messages_.back();
}

std::string History::next_transaction(User& user) {
  return "t" + std::to_string(++user.transactions);
}

void History::ask(User& user, std::string method, std::string target, std::string body,
                  OnAnswer on_answer) {
  const std::string what = method + " " + target;
  world_.call(user.server, {std::move(method), std::move(target), user.token, std::move(body)},
              [this, what, on_answer = std::move(on_answer)](const Answer& answer) {
                if (answer.status == 500) finding(what + " gave 500: " + answer.text({"error"}));
                if (answer.status == 401) finding(what + " gave 401: " + answer.text({"error"}));
                on_answer(answer);
              });
}

void History::insist(User& user, std::string method, std::string target, std::string body,
                     OnAnswer on_answer, int attempts) {
  if (attempts == 0) ++unanswered_;
  ask(user, method, target, body, [=, this, &user](const Answer& answer) {
    if (answer.status != 0 && answer.status < 500) {
      --unanswered_;
      on_answer(answer);
    } else if (attempts == kAttemptsMax) {
      finding(method + " " + target + " is never answered: " + std::to_string(answer.status) + " " +
              answer.text({"error"}));
    } else {
      world_.simulation().after(Millis(500 + below(3000)), [=, this, &user] {
        insist(user, method, target, body, on_answer, attempts + 1);
      });
    }
  });
}

void History::send(User& user, std::string method, const std::string& room, const std::string& rest,
                   std::string body, bool redactable) {
  const size_t server = user.server;
  insist(user, std::move(method), "/_matrix/client/v3/rooms/" + room + rest, std::move(body),
         [this, room, server, redactable](const Answer& answer) {
           if (answer.status == 200)
             events_.push_back({room, answer.text({"event_id"}), server, redactable});
         });
}

void History::crash(size_t server) {
  if (!world_.is_up(server)) return;
  ++crashes_;
  world_.crash(server);
  later(Millis(below(20'000)), [this, server] { world_.start(server); });
}

void History::later(Millis delay, std::function<void()> what) {
  recoveries_.push_back({world_.simulation().clock().steady() + delay, std::move(what)});
}

void History::recover(bool all) {
  const auto now = world_.simulation().clock().steady();
  auto recoveries = std::exchange(recoveries_, {});
  for (Recovery& recovery : recoveries) {
    if (all || recovery.due <= now) {
      recovery.what();
    } else {
      recoveries_.push_back(std::move(recovery));
    }
  }
}

void History::step() {
  // The first row of the table makes rooms: without one there is nothing to do, nor to break.
  const bool begun = rooms_.size() >= plan_.servers;
  if (begun && plan_.faults && one_in(kStepsBetweenFaults)) {
    const Fault& fault = pick(world_.random(), faults());
    world_.simulation().trace(fault.name);
    fault.strike(*this);
  }
  if (begun && plan_.hostile > 0 && one_in(kStepsBetweenMisdeeds))
    misbehave(*this, plan_.servers - 1 - below(plan_.hostile));
  User& user = *users_[below(users_.size())];
  const Action& action = begun ? pick(world_.random(), actions()) : actions().front();
  if (action.act(*this, user)) world_.simulation().trace(action.name);
  pause();
  recover(false);
}

// Some requests meet in the server, some are alone.
void History::pause() {
  switch (below(8)) {
    case 0:
      world_.run_for(Millis(1000 + below(6000)));
      break;
    case 1:
    case 2:
      world_.run_for(Millis(20 + below(300)));
      break;
    case 3:
    case 4:
      world_.run_for(Millis(below(20)));
      break;
    default:
      break;
  }
}

// Heals everything, and waits until nothing is under way.
void History::settle() {
  // A recovery may be followed by another: a failed disk by a crash, and that by a start.
  while (!recoveries_.empty())
    recover(true);
  world_.network().mend_all();
  world_.network().set_conditions({});
  if (!world_.run_until([&] { return unanswered_ == 0; }, kAnsweredWithin))
    finding(std::to_string(unanswered_) + " requests are never answered");
  world_.run_for(kSettledWithin);
  rejoin_half_joined();
  last_words();
  world_.run_for(kSettledWithin);
}

// A join whose answer was lost between servers leaves a user who is in the room for all but their
// own server, until they try again.
void History::rejoin_half_joined() {
  for (size_t i = 0; i < world_.size(); ++i) {
    for (const auto& [room, facts] : read_rooms(world_, i)) {
      for (const auto& user : users_) {
        if (facts.membership(user->id) != "join" || user->server == i) continue;
        const auto own = read_rooms(world_, user->server);
        const auto found = own.find(room);
        if (found != own.end() && found->second.membership(user->id) == "join") continue;
        insist(*user, "POST", "/_matrix/client/v3/join/" + room + "?via=" + world_.name(i), "{}",
               [](const Answer&) {});
      }
    }
  }
  world_.run_until([&] { return unanswered_ == 0; }, kAnsweredWithin);
  world_.run_for(kSettledWithin);
}

// One more message of each server in each of its rooms joins what branches there are. Those who may
// not know who is in the room come first: what they tell some is told to all by those after them.
void History::last_words() {
  for (const bool knows_room : {false, true}) {
    for (size_t i = 0; i < world_.size(); ++i) {
      for (const auto& [room, facts] : read_rooms(world_, i)) {
        if ((is_honest(i) && !is_misled(world_.name(i), room)) == knows_room)
          last_word(i, room, facts);
      }
      world_.run_for(Millis(60'000));
    }
  }
}

void History::last_word(size_t server, const std::string& room, const RoomFacts& facts) {
  const auto user = std::ranges::find_if(users_, [&](const auto& one) {
    return one->server == server && facts.membership(one->id) == "join";
  });
  if (user == users_.end()) return;
  send(**user, "PUT", room, "/send/m.room.message/" + next_transaction(**user),
       R"({"body":"last","msgtype":"m.text"})");
}

void History::sync(User& user) {
  std::string target =
      "/_matrix/client/v3/sync?timeout=20000&filter="
      "%7B%22room%22%3A%7B%22timeline%22%3A%7B%22limit%22%3A100%7D%7D%7D";
  if (!user.since.empty()) target += "&since=" + user.since;
  ask(user, "GET", target, "", [this, &user](const Answer& answer) {
    if (ended_) return;
    if (answer.status == 200) take_sync(user, answer);
    const Millis delay(answer.status == 200 ? below(200) : 1000);
    world_.simulation().after(delay, [this, &user] { sync(user); });
  });
}

void History::take_sync(User& user, const Answer& answer) {
  const json::Object& body = *answer.body.as_object();
  user.since = answer.text({"next_batch"});
  if (const json::Value* events = json::at(body, {"to_device", "events"})) {
    for (const json::Value& event : *events->as_array())
      ++user.messages[*json::at(*event.as_object(), {"content", "id"})->as_string()];
  }
  const json::Object* rooms = body.find_object("rooms");
  if (rooms == nullptr) return;
  for (const std::string membership : {"invite", "leave", "join"}) {
    const json::Object* of = rooms->find_object(membership);
    if (of == nullptr) continue;
    for (const auto& [room, value] : *of) {
      if (membership == "join") take_room(user, room, *value.as_object());
      if (membership != "join") user.seen.erase(room);
      user.memberships[room] = membership;
    }
  }
}

void History::take_room(User& user, const std::string& room, const json::Object& joined) {
  const json::Object* timeline = joined.find_object("timeline");
  if (timeline == nullptr) return;
  if (user.seen[room].empty()) {
    user.gaps.erase(room);
  } else if (timeline->find_bool("limited").value_or(false)) {
    user.gaps.insert(room);
  }
  for (const json::Value& event : *timeline->find_array("events")) {
    const std::string& id = *event.as_object()->find_string("event_id");
    if (!user.seen[room].insert(id).second) finding(user.id + " was told of " + id + " twice");
    user.newest[room] = id;
  }
}

}  // namespace polder::simulation
