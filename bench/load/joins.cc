#include "bench/load/workloads.h"

namespace polder::load {
namespace {

std::vector<std::string> ids_of(const std::vector<Session>& users) {
  std::vector<std::string> ids;
  for (const Session& user : users)
    ids.push_back(user.user_id());
  return ids;
}

}  // namespace

Reports measure_joins(Stage& stage, Joins plan) {
  // One more, who is in all rooms already.
  POLDER_CO_TRY(std::vector<Session> users,
                co_await register_users(stage, stage.target, "joiner", plan.users + 1));
  Session& owner = users.back();
  std::vector<std::string> rooms(plan.rooms);
  for (std::string& room : rooms) {
    POLDER_CO_TRY(room, co_await owner.create_room());
  }
  POLDER_CO_TRY(Measurement measurement, Measurement::begin(stage));
  const Work join_all = [&](size_t user) -> Task<Status> {
    for (size_t i = 0; i < rooms.size(); ++i) {
      const auto begun = stage.now();
      POLDER_CO_CHECK(co_await users[user].join(rooms[(user + i) % rooms.size()]));
      measurement.add(stage.now() - begun);
    }
    co_return Status();
  };
  co_await for_each(stage.runtime, plan.users, plan.users, join_all);
  POLDER_CO_TRY(Report report, measurement.end(stage, "joins", "joins"));
  for (const std::string& room : rooms) {
    POLDER_CO_CHECK(co_await check_members(owner, room, ids_of(users)));
  }
  report.checked = report.count;
  report.shape = {{"users", plan.users}, {"rooms", plan.rooms}};
  co_return std::vector<Report>(1, std::move(report));
}

Reports measure_remote_joins(Stage& stage, const Target& remote, RemoteJoins plan) {
  POLDER_CO_TRY(std::vector<Session> users,
                co_await register_users(stage, stage.target, "guest", plan.users));
  POLDER_CO_TRY(std::vector<Session> hosts,
                co_await register_users(stage, remote, "host", plan.members));
  std::vector<std::string> rooms(plan.users);
  const Work furnish = [&](size_t i) -> Task<Status> {
    POLDER_CO_TRY(rooms[i], co_await hosts.front().create_room());
    for (size_t host = 1; host < hosts.size(); ++host) {
      POLDER_CO_CHECK(co_await hosts[host].join(rooms[i]));
    }
    co_return Status();
  };
  co_await for_each(stage.runtime, rooms.size(), kSetUpAtOnce, furnish);
  POLDER_CO_TRY(Measurement measurement, Measurement::begin(stage));
  const Work join = [&](size_t i) -> Task<Status> {
    const auto begun = stage.now();
    POLDER_CO_CHECK(co_await users[i].join(rooms[i], hosts.front().server_name()));
    measurement.add(stage.now() - begun);
    co_return Status();
  };
  co_await for_each(stage.runtime, rooms.size(), plan.at_once, join);
  POLDER_CO_TRY(Report report, measurement.end(stage, "remote_joins", "joins"));
  for (size_t i = 0; i < rooms.size(); ++i) {
    std::vector<std::string> members = ids_of(hosts);
    members.push_back(users[i].user_id());
    POLDER_CO_CHECK(co_await check_members(users[i], rooms[i], members));
    POLDER_CO_CHECK(co_await check_members(hosts.front(), rooms[i], members));
  }
  report.checked = report.count;
  report.shape = {{"users", plan.users}, {"members", plan.members}, {"at_once", plan.at_once}};
  co_return std::vector<Report>(1, std::move(report));
}

}  // namespace polder::load
