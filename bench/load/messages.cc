#include <optional>
#include <unordered_map>

#include "bench/load/workloads.h"
#include "homeserver/base/runtime/sync.h"
#include "homeserver/base/values/bytes.h"

namespace polder::load {
namespace {

using std::chrono::nanoseconds;
using std::chrono::seconds;

constexpr size_t kPagesMax = 100'000;  // of one room's history
constexpr Millis kPause{1000};         // between looks at it

struct Room {
  std::string id;
  std::unordered_map<std::string, std::string> sent;  // event id to text, what was acknowledged
};

class Conversation {
 public:
  Conversation(Stage& stage, Messages plan) : stage_(stage), plan_(plan), rooms_(plan.rooms) {}

  Task<Status> open() {
    POLDER_CO_TRY(users_, co_await register_users(stage_, stage_.target, "talker", plan_.users));
    for (size_t i = 0; i < rooms_.size(); ++i) {
      POLDER_CO_TRY(rooms_[i].id, co_await users_[i].create_room());
    }
    co_await for_each(stage_.runtime, users_.size() - rooms_.size(), kSetUpAtOnce,
                      [this](size_t i) {
                        const size_t user = i + rooms_.size();
                        return users_[user].join(room_of(user).id);
                      });
    co_return Status();
  }

  Task<Result<Report>> talk() {
    begin_ = stage_.now() + seconds(plan_.warm_up);
    end_ = begin_ + seconds(plan_.seconds);
    runtime::TaskGroup watch(stage_.runtime);
    watch.spawn(stage_.runtime.shard(0), "load watch", measure());
    co_await for_each(stage_.runtime, users_.size(), users_.size(),
                      [this](size_t i) { return send_messages(i); });
    co_await watch.wait_all();
    co_return std::move(*report_);
  }

  // Reads each room's history to its beginning, and finds every message that was acknowledged.
  Task<Status> check(Report& report) {
    for (size_t i = 0; i < rooms_.size(); ++i) {
      report.checked += rooms_[i].sent.size();
      POLDER_CO_CHECK(co_await check_room(users_[i], rooms_[i]));
    }
    co_return Status();
  }

 private:
  Room& room_of(size_t user) { return rooms_[user % rooms_.size()]; }

  Task<void> measure() {
    co_await runtime::sleep_for(stage_.runtime, Millis(plan_.warm_up * 1000));
    auto measurement = Measurement::begin(stage_);
    if (measurement.ok()) {
      measurement_ = *std::move(measurement);
      co_await runtime::sleep_for(stage_.runtime, Millis(plan_.seconds * 1000));
      Measurement ended = *std::exchange(measurement_, std::nullopt);
      report_ = ended.end(stage_, "messages", "messages");
    } else {
      report_ = measurement.error();
    }
  }

  Task<Status> send_messages(size_t user) {
    const std::string padding(plan_.text_bytes, 'm');
    for (uint64_t number = 0;; ++number) {
      if (plan_.rate > 0) co_await pace(user, number);
      const auto begun = stage_.now();
      if (begun >= end_) co_return Status();
      std::string transaction = std::to_string(user) + "-" + std::to_string(number);
      std::string text = (transaction + " " + padding).substr(0, plan_.text_bytes);
      POLDER_CO_TRY(std::string id,
                    co_await users_[user].send(room_of(user).id, std::move(transaction), text));
      if (measurement_) measurement_->add(stage_.now() - begun);
      room_of(user).sent.emplace(std::move(id), std::move(text));
    }
  }

  // The users take turns within each period.
  Task<void> pace(size_t user, uint64_t number) {
    const size_t turn = number * users_.size() + user;
    const auto due = begin_ - seconds(plan_.warm_up) + nanoseconds(seconds(1)) * turn / plan_.rate;
    const auto wait = std::chrono::ceil<Millis>(due - stage_.now());
    if (wait > Millis(0)) co_await runtime::sleep_for(stage_.runtime, wait);
  }

  // Some servers acknowledge a message long before they can read it back.
  Task<Status> check_room(Session& reader, Room& room) {
    for (size_t tries = 0; tries <= plan_.patience; ++tries) {
      const size_t missing = room.sent.size();
      POLDER_CO_CHECK(co_await read_room(reader, room));
      if (room.sent.empty()) co_return Status();
      if (room.sent.size() < missing) tries = 0;
      co_await runtime::sleep_for(stage_.runtime, kPause);
    }
    co_return fail(ErrorCode::kInternal, std::to_string(room.sent.size()) +
                                             " acknowledged messages were not found in " + room.id);
  }

  // https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidmessages
  Task<Status> read_room(Session& reader, Room& room) {
    std::string from;
    for (size_t page = 0; page < kPagesMax && !room.sent.empty(); ++page) {
      std::string target = room_path(room.id, "/messages?dir=b&limit=1000");
      if (!from.empty()) target += "&from=" + base::percent_encode(from);
      POLDER_CO_TRY(const json::Object answer,
                    co_await reader.call(http::Method::kGet, std::move(target)));
      const json::Array* chunk = answer.find_array("chunk");
      if (chunk == nullptr) co_return fail(ErrorCode::kMissing, "/messages without a chunk");
      for (const json::Value& event : *chunk)
        take(room, event);
      const std::string* end = answer.find_string("end");
      if (end == nullptr || *end == from) break;
      from = *end;
    }
    co_return Status();
  }

  static void take(Room& room, const json::Value& event) {
    const json::Object* object = event.as_object();
    const std::string* id = object == nullptr ? nullptr : object->find_string("event_id");
    const json::Value* text = object == nullptr ? nullptr : json::at(*object, {"content", "body"});
    if (id == nullptr || text == nullptr || text->as_string() == nullptr) return;
    const auto found = room.sent.find(*id);
    if (found != room.sent.end() && found->second == *text->as_string()) room.sent.erase(found);
  }

  Stage& stage_;
  const Messages plan_;
  std::vector<Room> rooms_;
  std::vector<Session> users_;
  nanoseconds begin_{0}, end_{0};
  std::optional<Measurement> measurement_;  // while it is measured
  std::optional<Result<Report>> report_;
};

}  // namespace

Reports measure_messages(Stage& stage, Messages plan) {
  plan.rooms = std::min(plan.rooms, plan.users);
  Conversation conversation(stage, plan);
  POLDER_CO_CHECK(co_await conversation.open());
  POLDER_CO_TRY(Report report, co_await conversation.talk());
  POLDER_CO_CHECK(co_await conversation.check(report));
  report.shape = {{"users", plan.users},
                  {"rooms", plan.rooms},
                  {"text_bytes", plan.text_bytes},
                  {"rate", plan.rate}};
  co_return std::vector<Report>(1, std::move(report));
}

}  // namespace polder::load
