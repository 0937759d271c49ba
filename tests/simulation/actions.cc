// What users do. Refusals are part of it: users do not know all that happened.
#include <array>

#include "tests/simulation/history.h"

namespace polder::simulation {
namespace {

constexpr size_t kRoomsMax = 6;
constexpr std::string_view kVersions[] = {"10", "11", "12"};

std::string quoted(std::string_view text) {
  std::string out;
  json::write_string_to(text, out);
  return out;
}

std::string user_body(const User& user) {
  return R"({"user_id":)" + quoted(user.id) + "}";
}

void ignore(const Answer&) {}

bool create_room(History& history, User& user) {
  if (history.rooms().size() >= kRoomsMax) return false;
  const bool is_public = history.one_in(2);
  std::string body = R"({"room_version":)" + quoted(kVersions[history.below(3)]) +
                     R"(,"preset":")" + (is_public ? "public_chat" : "private_chat") + "\"";
  if (const User* other = history.somebody_else(user); other != nullptr && !history.one_in(3))
    body += R"(,"invite":[)" + quoted(other->id) + "]";
  // Asked again, it would be another room.
  history.ask(user, "POST", "/_matrix/client/v3/createRoom", body + "}",
              [&history, server = user.server, is_public](const Answer& answer) {
                if (answer.status == 200)
                  history.rooms().push_back({answer.text({"room_id"}), server, is_public});
              });
  return true;
}

bool say(History& history, User& user) {
  const std::string room = history.room_with(user, "join");
  if (room.empty()) return false;
  const std::string transaction = history.next_transaction(user);
  history.send(user, "PUT", room, "/send/m.room.message/" + transaction,
               R"({"msgtype":"m.text","body":)" + quoted(user.id + " " + transaction) + "}", true);
  return true;
}

bool redact(History& history, User& user) {
  const std::string room = history.room_with(user, "join");
  std::vector<std::string> targets;
  for (const AcknowledgedEvent& event : history.events()) {
    if (event.room == room && event.redactable) targets.push_back(event.id);
  }
  if (targets.empty()) return false;
  history.send(
      user, "PUT", room,
      "/redact/" + targets[history.below(targets.size())] + "/" + history.next_transaction(user),
      R"({"reason":"simulated"})");
  return true;
}

bool set_topic(History& history, User& user) {
  const std::string room = history.room_with(user, "join");
  if (room.empty()) return false;
  history.send(user, "PUT", room, "/state/m.room.topic",
               R"({"topic":)" + quoted(user.id + history.next_transaction(user)) + "}");
  return true;
}

// State of which several keys live side by side.
bool set_note(History& history, User& user) {
  const std::string room = history.room_with(user, "join");
  if (room.empty()) return false;
  history.send(user, "PUT", room, "/state/org.example.note/" + std::to_string(history.below(3)),
               R"({"note":)" + quoted(user.id + history.next_transaction(user)) + "}");
  return true;
}

// Reads the power levels and changes somebody's, or what a change of the topic needs.
bool change_power(History& history, User& user) {
  const std::string room = history.room_with(user, "join");
  const User* other = history.somebody_else(user);
  if (room.empty() || other == nullptr) return false;
  const int64_t level = history.one_in(2) ? 50 : 0;
  const bool of_user = !history.one_in(4);
  history.ask(user, "GET", "/_matrix/client/v3/rooms/" + room + "/state/m.room.power_levels", "",
              [&history, &user, other, room, level, of_user](const Answer& answer) {
                if (answer.status != 200) return;
                json::Object levels = *answer.body.as_object();
                const std::string_view part = of_user ? "users" : "events";
                json::Object inner;
                if (const json::Object* old = levels.find_object(part)) inner = *old;
                inner.set(of_user ? other->id : "m.room.topic", level);
                levels.set(std::string(part), std::move(inner));
                history.send(user, "PUT", room, "/state/m.room.power_levels", json::write(levels));
              });
  return true;
}

bool invite(History& history, User& user) {
  const std::string room = history.room_with(user, "join");
  const User* other = history.somebody_else(user);
  if (room.empty() || other == nullptr) return false;
  history.insist(user, "POST", "/_matrix/client/v3/rooms/" + room + "/invite", user_body(*other),
                 ignore);
  return true;
}

void join_room(History& history, User& user, const std::string& room) {
  std::string target = "/_matrix/client/v3/join/" + room;
  char separator = '?';
  for (size_t i = 0; i < history.world().size(); ++i) {
    if (i == user.server) continue;
    target += separator + ("via=" + history.world().name(i));
    separator = '&';
  }
  history.insist(user, "POST", target, "{}", ignore);
}

bool accept_invite(History& history, User& user) {
  const std::string room = history.room_with(user, "invite");
  if (room.empty()) return false;
  join_room(history, user, room);
  return true;
}

bool rejoin(History& history, User& user) {
  const std::string room = history.room_with(user, "leave");
  if (room.empty()) return false;
  join_room(history, user, room);
  return true;
}

bool join_public(History& history, User& user) {
  if (history.rooms().empty()) return false;
  const KnownRoom& room = history.rooms()[history.below(history.rooms().size())];
  if (!room.is_public || (!history.plan().federated && room.server != user.server)) return false;
  join_room(history, user, room.id);
  return true;
}

bool leave(History& history, User& user) {
  const std::string room = history.room_with(user, history.one_in(3) ? "invite" : "join");
  if (room.empty()) return false;
  history.insist(user, "POST", "/_matrix/client/v3/rooms/" + room + "/leave", "{}", ignore);
  return true;
}

bool against_somebody(History& history, User& user, const std::string& what) {
  const std::string room = history.room_with(user, "join");
  const User* other = history.somebody_else(user);
  if (room.empty() || other == nullptr) return false;
  history.insist(user, "POST", "/_matrix/client/v3/rooms/" + room + "/" + what, user_body(*other),
                 ignore);
  return true;
}

bool kick(History& history, User& user) {
  return against_somebody(history, user, "kick");
}

bool ban(History& history, User& user) {
  return against_somebody(history, user, "ban");
}

bool unban(History& history, User& user) {
  return against_somebody(history, user, "unban");
}

bool rename(History& history, User& user) {
  history.insist(user, "PUT", "/_matrix/client/v3/profile/" + user.id + "/displayname",
                 R"({"displayname":)" + quoted("Name " + history.next_transaction(user)) + "}",
                 ignore);
  return true;
}

bool send_to_device(History& history, User& user) {
  const User* other = history.somebody_else(user);
  if (other == nullptr) return false;
  DeviceMessage& message = history.new_message(*other);
  history.insist(
      user, "PUT",
      "/_matrix/client/v3/sendToDevice/org.example.message/" + history.next_transaction(user),
      R"({"messages":{)" + quoted(other->id) + ":{" + quoted(other->device) + R"(:{"id":)" +
          quoted(message.id) + "}}}}",
      [&message](const Answer& answer) {
        if (answer.status == 200) message.acknowledged = true;
      });
  return true;
}

// Back to the beginning of a room, or as far as the server goes at once.
bool page_back(History& history, User& user) {
  const std::string room = history.room_with(user, "join");
  if (room.empty()) return false;
  history.ask(user, "GET", "/_matrix/client/v3/rooms/" + room + "/messages?dir=b&limit=100", "",
              ignore);
  return true;
}

bool read(History& history, User& user) {
  const std::string room = history.room_with(user, "join");
  if (room.empty() || !user.newest.contains(room)) return false;
  history.insist(user, "POST",
                 "/_matrix/client/v3/rooms/" + room + "/receipt/m.read/" + user.newest[room], "{}",
                 ignore);
  return true;
}

bool type(History& history, User& user) {
  const std::string room = history.room_with(user, "join");
  if (room.empty()) return false;
  history.ask(user, "PUT", "/_matrix/client/v3/rooms/" + room + "/typing/" + user.id,
              R"({"typing":true,"timeout":10000})", ignore);
  return true;
}

constexpr auto kActions = std::to_array<Action>({
    {"create_room", 8, create_room},
    {"say", 40, say},
    {"redact", 5, redact},
    {"set_topic", 8, set_topic},
    {"set_note", 8, set_note},
    {"change_power", 8, change_power},
    {"invite", 12, invite},
    {"accept_invite", 20, accept_invite},
    {"rejoin", 6, rejoin},
    {"join_public", 10, join_public},
    {"leave", 4, leave},
    {"kick", 3, kick},
    {"ban", 1, ban},
    {"unban", 2, unban},
    {"rename", 2, rename},
    {"send_to_device", 12, send_to_device},
    {"page_back", 4, page_back},
    {"read", 6, read},
    {"type", 4, type},
});

}  // namespace

std::span<const Action> actions() {
  return kActions;
}

}  // namespace polder::simulation
