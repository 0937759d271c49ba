// The application services of this server, and which of them a user, an alias or a room concerns.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "appservices/registry/registration.h"
#include "homeserver/base/values/ids.h"

namespace polder::appservices {

// Immutable, and thread-safe.
class Registry {
 public:
  Registry() = default;  // of none
  // kInvalid names what two of them must not share: id, tokens, sender.
  static Result<Registry> create(std::vector<Registration> registrations,
                                 const ServerName& own_name);

  std::span<const Registration> registrations() const { return registrations_; }
  // Whose as_token it is, else null. Compared in constant time.
  const Registration* find_by_token(std::string_view as_token) const;

  // Who follows what happens to it. Of users, only this server's are anybody's.
  using Interested = std::vector<const Registration*>;
  Interested interested_in(const UserId& user) const;
  Interested interested_in(const RoomAlias& alias) const;
  Interested interested_in(const RoomId& room) const;

  // Who alone may make it: whose sender it is, or who has it in an exclusive namespace. Else null.
  const Registration* owner_of(const UserId& user) const;
  const Registration* owner_of(const RoomAlias& alias) const;

 private:
  Registry(std::vector<Registration> registrations, ServerName own_name)
      : registrations_(std::move(registrations)), own_name_(std::move(own_name)) {}

  bool is_own(const UserId& user) const { return user.server() == own_name_.view(); }

  std::vector<Registration> registrations_;
  ServerName own_name_;
};

}  // namespace polder::appservices
