// Whom a user ignores. https://spec.matrix.org/v1.19/client-server-api/#ignoring-users
#pragma once

#include <set>
#include <string>
#include <string_view>

#include "homeserver/base/values/ids.h"
#include "storage/stores/users/user_rows.h"

namespace polder::rooms {

// State events of ignored users are shown all the same, their invites and other events are not.
class IgnoredUsers {
 public:
  // By the user's account data; nobody, if that says nothing that can be understood. Nobody ignores
  // themselves. Synchronous.
  static Result<IgnoredUsers> read(const kv::Snapshot& snapshot, stores::UserNumber number,
                                   const UserId& user);

  const std::set<std::string, std::less<>>& names() const { return users_; }
  bool contains(std::string_view user) const { return users_.contains(user); }
  // Whether an event that is no invite is left out.
  bool hides(std::string_view sender, bool is_state) const { return !is_state && contains(sender); }

 private:
  std::set<std::string, std::less<>> users_;
};

}  // namespace polder::rooms
