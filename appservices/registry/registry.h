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
  // kInvalid names what two of them must not share (id, tokens, sender), or whose regular
  // expressions are too large with those before them.
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
  // The namespaces of one kind, of all registrations.
  struct Namespaces {
    struct Place {
      size_t registration = 0;
      bool exclusive = false;
    };
    PatternSet patterns;
    std::vector<Place> places;  // of the patterns
  };

  Registry(std::vector<Registration> registrations, ServerName own_name)
      : registrations_(std::move(registrations)), own_name_(std::move(own_name)) {}

  // Of one kind; `name` is what registrations call it.
  Result<Namespaces> join(std::vector<Namespace> Registration::* kind, std::string_view name) const;
  bool is_own(const UserId& user) const { return user.server() == own_name_.view(); }
  // Which of the registrations, in their order, have the id in a namespace.
  std::vector<bool> holders(const Namespaces& namespaces, std::string_view id,
                            bool exclusively) const;
  // The same of a user of this server; whose sender it is has it exclusively.
  std::vector<bool> holders_of(const UserId& user, bool exclusively) const;
  Interested those(const std::vector<bool>& chosen) const;
  const Registration* first(const std::vector<bool>& chosen) const;

  std::vector<Registration> registrations_;
  ServerName own_name_;
  Namespaces users_, aliases_, rooms_;
};

}  // namespace polder::appservices
