#include "homeserver/protocol/policy/act.h"

#include <array>

namespace polder::policy {
namespace {

constexpr std::array<std::string_view, kPoints> kPointWords = {
    "create",       "message",  "state",      "redact",   "invite",  "join",
    "knock",        "leave",    "kick",       "ban",      "profile", "alias",
    "directory",    "upload",   "download",   "register", "login",   "federate_in",
    "federate_out", "password", "deactivate", "purge",    "stop_job"};

Point point_of_membership(const EventShape& event) {
  const bool own = event.state_key == event.sender;
  if (event.membership == "invite") return Point::kInvite;
  if (event.membership == "join") return Point::kJoin;
  if (event.membership == "knock") return Point::kKnock;
  if (event.membership == "ban") return Point::kBan;
  if (event.membership == "leave") return own ? Point::kLeave : Point::kKick;
  return Point::kState;  // of no known membership; the authorisation rules refuse it
}

}  // namespace

std::string_view to_string(Point point) {
  return kPointWords.at(static_cast<size_t>(point));
}

std::optional<Point> point_of(std::string_view word) {
  for (size_t i = 0; i < kPointWords.size(); ++i) {
    if (kPointWords[i] == word) return static_cast<Point>(i);
  }
  return std::nullopt;
}

std::string_view name_of(const Actor& actor) {
  if (const auto* server = std::get_if<Server>(&actor)) return server->name.view();
  if (const auto* client = std::get_if<Client>(&actor)) return client->user.view();
  if (const auto* administrator = std::get_if<Administrator>(&actor))
    return administrator->user.view();
  return std::get<ApplicationService>(actor).user.view();
}

std::string_view kind_of(const Actor& actor) {
  constexpr std::array<std::string_view, 4> kKinds = {"client", "administrator",
                                                      "application_service", "server"};
  return kKinds.at(actor.index());
}

Act act_of(std::string_view room, const EventShape& event) {
  Act act;
  act.room = room;
  act.type = event.type;
  if (!event.redacts.empty()) {
    act.point = Point::kRedact;
    act.target = event.redacts;
  } else if (!event.state_key) {
    act.point = Point::kMessage;
  } else if (event.type == "m.room.member") {
    act.point = point_of_membership(event);
    act.target = *event.state_key;
  } else {
    act.point = event.type == "m.room.create" ? Point::kCreate : Point::kState;
  }
  return act;
}

}  // namespace polder::policy
