// What happens in a room or to an account, and who does it: values that the policy decides about
// (decide.h) and that the audit records name.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "homeserver/base/values/ids.h"
#include "homeserver/base/values/result.h"

namespace polder::policy {

// The named points at which the policy is asked. On disk and on the command line by their words: a
// word is never changed, nor used for another point.
enum class Point : uint8_t {
  kCreate,       // of a room
  kMessage,      // an event without state key
  kState,        // one with, other than memberships
  kRedact,       // an event
  kInvite,       // somebody into a room
  kJoin,         // a room
  kKnock,        // on a room
  kLeave,        // a room: leaving, declining, taking back
  kKick,         // somebody else out of a room, or their invite, or their ban
  kBan,          // somebody from a room
  kProfile,      // of a user: changing it
  kAlias,        // of a room: making or deleting one
  kDirectory,    // of rooms: publishing there
  kUpload,       // of media
  kDownload,     // of media
  kRegister,     // an account
  kLogin,        // to an account
  kFederateIn,   // something of another server
  kFederateOut,  // something to another server
  kPassword,     // of an account: a new one
  kDeactivate,   // an account
  kPurge,        // a room, or its history before an event
  kStopJob,      // that goes on by itself
};
inline constexpr size_t kPoints = 23;

std::string_view to_string(Point point);
std::optional<Point> point_of(std::string_view word);

// A user, by a device of theirs. Without a user where the act says whose it is: the sender of an
// event.
struct Client {
  UserId user{};
  DeviceId device{};
};
// Somebody who administers the server, through what only administrators have: the administration
// API, the command line. (An administrator who uses a client is a Client.)
struct Administrator {
  UserId user{};  // empty: not known
};
struct ApplicationService {
  std::string id;
  UserId user{};  // as whom it acts
};
// This server by itself, or another one.
struct Server {
  ServerName name{};
};
using Actor = std::variant<Client, Administrator, ApplicationService, Server>;

// In whose name: the user, else the server.
std::string_view name_of(const Actor& actor);
// What kind of actor: "client", "administrator", "application_service", "server".
std::string_view kind_of(const Actor& actor);

struct Act {
  Point point = Point::kMessage;
  std::string room{};    // its id
  std::string type{};    // of an event; the field of a profile
  std::string target{};  // whom or what it is done to: a user, an event, an alias, a job
};

// What the act is that an event stands for.
struct EventShape {
  std::string_view sender;
  std::string_view type;
  std::optional<std::string_view> state_key{};
  std::string_view membership{};  // of m.room.member events
  std::string_view redacts{};     // the event that it redacts, if any
};
Act act_of(std::string_view room, const EventShape& event);

}  // namespace polder::policy
