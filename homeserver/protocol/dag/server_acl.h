// Which servers may take part in a room, by its m.room.server_acl.
// https://spec.matrix.org/v1.19/client-server-api/#server-access-control-lists-acls-for-rooms
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "homeserver/base/json/value.h"
#include "homeserver/base/values/ids.h"

namespace polder::dag {

// An ACL, made ready once for many questions. Immutable; keeps nothing of the content that it was
// made from. A room without the event allows everyone and has no ServerAcl.
class ServerAcl {
 public:
  // Entries that are no strings, and lists that are none, count as absent.
  explicit ServerAcl(const json::Object& content);

  // Without regard to case and port. The time is bounded by the event's size times the name's.
  bool allows(const ServerName& server) const;

 private:
  bool allow_ip_literals_ = true;
  std::vector<std::string> allow_;  // globs
  std::vector<std::string> deny_;
};

}  // namespace polder::dag
