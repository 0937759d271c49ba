// What the policy's rules may look at besides the act and the actor, as values. Whoever asks
// gathers what the act's point needs: of everything the account, if it is one of this server; of
// joins what the room says of guests; of redactions what is known of their target; of registering
// and of other servers what the configuration says.
#pragma once

#include <optional>
#include <string>

namespace polder::policy {

// Of the local user in whose name the act is done.
struct Account {
  bool guest = false;
  bool deactivated = false;
  bool erased = false;
  bool administrator = false;
};

// Of a redaction.
struct Redaction {
  bool target_known = false;      // the event is here, in this room
  bool target_elsewhere = false;  // it is here, in another room
  bool creates_room = false;      // it is the room's create event
  bool own_event = false;         // the redacting user sent it
  bool local_event = false;       // a user of this server sent it
  bool has_level = false;         // the redacting user has the room's redact level
};

// Of registering.
struct Registration {
  bool open = true;  // whether anybody may, for an account of that kind
};

// Of what comes from another server, or goes to it.
struct Federation {
  bool off = false;         // no other server is talked to
  bool own_server = false;  // it is this one
};

struct Facts {
  std::optional<Account> account{};
  std::optional<std::string> guest_access{};  // of the room; empty if it says nothing
  std::optional<Redaction> redaction{};
  std::optional<Registration> registration{};
  std::optional<Federation> federation{};
};

}  // namespace polder::policy
