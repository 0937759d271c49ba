// What the policy's rules may look at besides the act and the actor, as values. Whoever asks
// gathers what the act's point needs: of everything the account, if it is one of this server; of
// joins what the room says of guests; of redactions what is known of their target.
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

struct Facts {
  std::optional<Account> account{};
  std::optional<std::string> guest_access{};  // of the room; empty if it says nothing
  std::optional<Redaction> redaction{};
};

}  // namespace polder::policy
