#include "bench/load/load.h"

#include <algorithm>
#include <unordered_set>

#include "homeserver/base/bytes.h"
#include "homeserver/json/write.h"
#include "homeserver/runtime/sync.h"

namespace polder::load {
namespace {

using http::Method;
using std::chrono::nanoseconds;

constexpr int kFailuresInARowMax = 10;
constexpr size_t kPagesMax = 100'000;  // of one room's history

struct Room {
  std::string id;
  std::unordered_set<std::string> acknowledged;  // event ids
};

struct Sender {
  Session session;
  Room* room = nullptr;
  std::string name;
};

std::string path_of(const Room& room, std::string_view rest) {
  return "/_matrix/client/v3/rooms/" + base::percent_encode(room.id) + std::string(rest);
}

class Run {
 public:
  Run(runtime::Runtime& runtime, Plan plan) : runtime_(runtime), plan_(std::move(plan)) {}

  Task<Status> open(http::Transport& transport, const Target& target) {
    rooms_.resize(plan_.rooms);
    for (size_t i = 0; i < plan_.senders; ++i) {
      Room& room = rooms_[i % plan_.rooms];
      Sender sender{Session(transport, target), &room, plan_.prefix + std::to_string(i)};
      POLDER_CO_CHECK(co_await sender.session.register_user(sender.name));
      if (room.id.empty()) {
        POLDER_CO_TRY(const json::Object made,
                      co_await sender.session.call(Method::kPost, "/_matrix/client/v3/createRoom",
                                                   R"({"preset":"public_chat"})"));
        const std::string* id = made.find_string("room_id");
        if (id == nullptr) co_return fail(ErrorCode::kMissing, "a room without an id was made");
        room.id = *id;
      } else {
        POLDER_CO_CHECK(co_await sender.session.call(Method::kPost, path_of(room, "/join"), "{}"));
      }
      senders_.push_back(std::move(sender));
    }
    co_return Status();
  }

  Task<void> send() {
    begin_ = runtime_.clock().steady() + plan_.warm_up;
    end_ = begin_ + plan_.duration;
    runtime::TaskGroup group(runtime_);
    for (Sender& sender : senders_)
      group.spawn(runtime_.shard(0), sender.name, send_messages(sender));
    co_await group.wait_all();
    outcome_.measured = end_ - begin_;
    std::ranges::sort(outcome_.latencies);
  }

  // Reads each room's history to its beginning.
  Task<Status> check() {
    for (size_t i = 0; i < rooms_.size() && i < senders_.size(); ++i)
      POLDER_CO_CHECK(co_await check_room(senders_[i]));
    co_return Status();
  }

  Outcome take_outcome() { return std::move(outcome_); }

 private:
  Task<void> send_messages(Sender& sender) {
    const std::string text(plan_.text_bytes, 'm');
    int failures = 0;
    for (uint64_t number = 0; failures < kFailuresInARowMax; ++number) {
      const auto sent = runtime_.clock().steady();
      if (sent >= end_) co_return;
      const std::string transaction = sender.name + "-" + std::to_string(number);
      const std::string body = json::write(json::Object{{"msgtype", "m.text"}, {"body", text}});
      const auto answer = co_await sender.session.call(
          Method::kPut, path_of(*sender.room, "/send/m.room.message/" + transaction), body);
      const auto answered = runtime_.clock().steady();
      const std::string* id = answer.ok() ? answer->find_string("event_id") : nullptr;
      if (id == nullptr) {
        ++outcome_.failed;
        outcome_.last_failure = answer.ok() ? "no event id" : answer.error().message;
        ++failures;
        continue;
      }
      failures = 0;
      sender.room->acknowledged.insert(*id);
      if (answered < begin_ || answered >= end_) continue;
      ++outcome_.acknowledged;
      outcome_.latencies.push_back(answered - sent);
    }
  }

  // https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidmessages
  Task<Status> check_room(Sender& reader) {
    Room& room = *reader.room;
    outcome_.checked += room.acknowledged.size();
    std::string from;
    for (size_t page = 0; page < kPagesMax; ++page) {
      std::string target = path_of(room, "/messages?dir=b&limit=1000");
      if (!from.empty()) target += "&from=" + base::percent_encode(from);
      POLDER_CO_TRY(const json::Object answer,
                    co_await reader.session.call(Method::kGet, std::move(target)));
      const json::Array* chunk = answer.find_array("chunk");
      if (chunk == nullptr) co_return fail(ErrorCode::kMissing, "/messages without a chunk");
      for (const json::Value& event : *chunk) {
        const json::Object* object = event.as_object();
        const std::string* id = object == nullptr ? nullptr : object->find_string("event_id");
        if (id != nullptr) room.acknowledged.erase(*id);
      }
      const std::string* end = answer.find_string("end");
      if (end == nullptr || *end == from) break;
      from = *end;
    }
    outcome_.missing += room.acknowledged.size();
    co_return Status();
  }

  runtime::Runtime& runtime_;
  const Plan plan_;
  std::vector<Room> rooms_;
  std::vector<Sender> senders_;
  nanoseconds begin_{0}, end_{0};
  Outcome outcome_;
};

}  // namespace

nanoseconds Outcome::percentile(double part) const {
  if (latencies.empty()) return {};
  const auto place = static_cast<size_t>(part * static_cast<double>(latencies.size()));
  return latencies[std::min(place, latencies.size() - 1)];
}

Task<Result<Outcome>> run(runtime::Runtime& runtime, http::Transport& transport,
                          const Target& target, Plan plan) {
  Run all(runtime, std::move(plan));
  POLDER_CO_CHECK(co_await all.open(transport, target));
  co_await all.send();
  POLDER_CO_CHECK(co_await all.check());
  co_return all.take_outcome();
}

}  // namespace polder::load
