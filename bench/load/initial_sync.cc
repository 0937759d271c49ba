#include <fmt/format.h>

#include <charconv>
#include <optional>
#include <set>

#include "bench/load/workloads.h"
#include "homeserver/base/json/write.h"
#include "homeserver/base/values/bytes.h"

namespace polder::load {
namespace {

constexpr size_t kUncheckedBytesMax = size_t{1} << 30;  // of answers

struct Profile {
  std::string name;
  size_t timeline = 0;
  bool lazy = false;
};

// "20T" is a timeline of 20 events and their senders, "10F" one of 10 and all members.
Result<Profile> parse_profile(const std::string& text) {
  Profile profile{.name = text, .lazy = text.ends_with('T')};
  const char* end = text.data() + text.size() - (text.empty() ? 0 : 1);
  const auto [rest, error] = std::from_chars(text.data(), end, profile.timeline);
  if (error != std::errc() || rest != end || profile.timeline == 0 ||
      (!profile.lazy && !text.ends_with('F')))
    return fail(ErrorCode::kInvalid, "a profile is a number and T or F, not \"" + text + '"');
  return profile;
}

// https://spec.matrix.org/v1.19/client-server-api/#filtering
std::string target_of(const Profile& profile) {
  const std::string filter = json::write(json::Object{
      {"room", json::object(
                   {{"timeline", json::object({{"limit", static_cast<int64_t>(profile.timeline)}})},
                    {"state", json::object({{"lazy_load_members", profile.lazy}})}})}});
  return "/_matrix/client/v3/sync?filter=" + base::percent_encode(filter);
}

// What one room of an answer holds.
class RoomView {
 public:
  explicit RoomView(const json::Object& room) {
    take_members(room.find_object("state"));
    const json::Object* timeline = room.find_object("timeline");
    take_members(timeline);
    const json::Array* events = timeline == nullptr ? nullptr : timeline->find_array("events");
    for (size_t i = 0; events != nullptr && i < events->size(); ++i) {
      const json::Object* event = (*events)[i].as_object();
      if (event == nullptr) continue;
      if (const std::string* id = event->find_string("event_id")) timeline_.push_back(*id);
      if (const std::string* sender = event->find_string("sender")) senders_.insert(*sender);
    }
  }

  const std::vector<std::string>& timeline() const { return timeline_; }
  size_t member_count() const { return members_.size(); }
  bool knows_senders() const { return std::ranges::includes(members_, senders_); }

 private:
  void take_members(const json::Object* part) {
    const json::Array* events = part == nullptr ? nullptr : part->find_array("events");
    for (size_t i = 0; events != nullptr && i < events->size(); ++i) {
      const json::Object* event = (*events)[i].as_object();
      const std::string* type = event == nullptr ? nullptr : event->find_string("type");
      if (type == nullptr || *type != "m.room.member") continue;
      const json::Value* membership = json::at(*event, {"content", "membership"});
      const std::string* member = event->find_string("state_key");
      if (member != nullptr && membership != nullptr && *membership == json::Value("join"))
        members_.insert(*member);
    }
  }

  std::vector<std::string> timeline_;
  std::set<std::string> members_, senders_;
};

struct Room {
  std::string id;
  std::vector<std::string> messages;  // event ids, in order: the end of its timeline
};

class Rooms {
 public:
  Rooms(Stage& stage, InitialSync plan)
      : stage_(stage), plan_(std::move(plan)), rooms_(plan_.rooms) {}

  Task<Status> open() {
    POLDER_CO_TRY(members_,
                  co_await register_users(stage_, stage_.target, "member", plan_.members));
    co_await for_each(stage_.runtime, rooms_.size(), kSetUpAtOnce,
                      [this](size_t i) { return furnish(rooms_[i], i); });
    co_return Status();
  }

  Task<Result<Report>> sync_all(Profile profile) {
    checked_ = 0;
    POLDER_CO_TRY(measurement_, Measurement::begin(stage_));
    co_await for_each(stage_.runtime, plan_.users, plan_.users,
                      [this, &profile](size_t user) { return sync_user(members_[user], profile); });
    POLDER_CO_TRY(Report report,
                  measurement_->end(stage_, "initial_sync_" + profile.name, "initial syncs"));
    for (const std::string& body : std::exchange(unchecked_, {}))
      POLDER_CO_CHECK(check(body, profile));
    unchecked_bytes_ = 0;
    report.checked = checked_;
    report.shape = {{"users", plan_.users}, {"rooms", plan_.rooms}, {"members", plan_.members}};
    co_return report;
  }

 private:
  Task<Status> furnish(Room& room, size_t number) {
    POLDER_CO_TRY(room.id, co_await members_.front().create_room());
    for (size_t i = 1; i < members_.size(); ++i) {
      POLDER_CO_CHECK(co_await members_[i].join(room.id));
    }
    for (size_t i = 0; i < plan_.messages; ++i) {
      Session& sender = members_[(number + i) % members_.size()];
      POLDER_CO_TRY(std::string id, co_await sender.send(room.id, fmt::format("{}-{}", number, i),
                                                         fmt::format("line {}", i)));
      room.messages.push_back(std::move(id));
    }
    co_return Status();
  }

  Task<Status> sync_user(Session& user, const Profile& profile) {
    const std::string target = target_of(profile);
    for (size_t i = 0; i < plan_.times; ++i) {
      const auto begun = stage_.now();
      POLDER_CO_TRY(std::string body, co_await user.fetch(http::Method::kGet, target));
      measurement_->add(stage_.now() - begun);
      // Reading what it says costs more than making it: as far as memory allows, that is for later.
      unchecked_bytes_ += body.size();
      if (unchecked_bytes_ > kUncheckedBytesMax) {
        unchecked_bytes_ -= body.size();
        POLDER_CO_CHECK(check(body, profile));
      } else {
        unchecked_.push_back(std::move(body));
      }
    }
    co_return Status();
  }

  Status check(const std::string& body, const Profile& profile) {
    POLDER_TRY(const json::Object answer, parse_answer(body));
    const json::Value* joined = json::at(answer, {"rooms", "join"});
    if (joined == nullptr || joined->as_object() == nullptr ||
        joined->as_object()->size() != rooms_.size())
      return fail(ErrorCode::kInternal, "an initial sync without some of the rooms");
    for (const Room& room : rooms_) {
      const json::Object* found = joined->as_object()->find_object(room.id);
      if (found == nullptr) return fail(ErrorCode::kInternal, room.id + " is missing");
      POLDER_CHECK(check_room(room, RoomView(*found), profile));
      ++checked_;
    }
    return {};
  }

  Status check_room(const Room& room, const RoomView& view, const Profile& profile) const {
    const size_t wanted = profile.timeline;
    const auto& got = view.timeline();
    const auto expected = std::span(room.messages).last(std::min(wanted, room.messages.size()));
    if (got.size() != wanted || !std::ranges::equal(expected, got))
      return fail(ErrorCode::kInternal,
                  fmt::format("the timeline of {} is not its last {} events", room.id, wanted));
    if (profile.lazy ? !view.knows_senders() : view.member_count() != members_.size())
      return fail(ErrorCode::kInternal, "members of " + room.id + " are missing");
    return {};
  }

  Stage& stage_;
  const InitialSync plan_;
  std::vector<Room> rooms_;
  std::vector<Session> members_;
  std::vector<std::string> unchecked_;  // answers
  size_t unchecked_bytes_ = 0;          // of them
  std::optional<Measurement> measurement_;
  uint64_t checked_ = 0;  // rooms
};

}  // namespace

Reports measure_initial_sync(Stage& stage, InitialSync plan) {
  std::vector<Profile> profiles;
  for (const std::string& text : plan.profiles) {
    POLDER_CO_TRY(Profile profile, parse_profile(text));
    if (profile.timeline > plan.messages)
      co_return fail(ErrorCode::kInvalid, text + " wants more events than there are messages");
    profiles.push_back(std::move(profile));
  }
  plan.users = std::min(plan.users, plan.members);
  Rooms rooms(stage, std::move(plan));
  POLDER_CO_CHECK(co_await rooms.open());
  std::vector<Report> reports;
  for (Profile& profile : profiles) {
    POLDER_CO_TRY(Report report, co_await rooms.sync_all(std::move(profile)));
    reports.push_back(std::move(report));
  }
  co_return reports;
}

}  // namespace polder::load
