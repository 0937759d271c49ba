#include "appservices/registry/registry.h"

#include <algorithm>
#include <map>

#include "homeserver/base/values/bytes.h"

namespace polder::appservices {
namespace {

bool matches(const std::vector<Namespace>& namespaces, std::string_view id) {
  return std::ranges::any_of(namespaces,
                             [&](const Namespace& one) { return one.pattern.matches(id); });
}

bool matches_exclusively(const std::vector<Namespace>& namespaces, std::string_view id) {
  return std::ranges::any_of(
      namespaces, [&](const Namespace& one) { return one.exclusive && one.pattern.matches(id); });
}

template <class Test>
Registry::Interested all_that(std::span<const Registration> registrations, const Test& test) {
  Registry::Interested found;
  for (const Registration& one : registrations) {
    if (test(one)) found.push_back(&one);
  }
  return found;
}

template <class Test>
const Registration* first_that(std::span<const Registration> registrations, const Test& test) {
  const auto found = std::ranges::find_if(registrations, test);
  return found != registrations.end() ? &*found : nullptr;
}

}  // namespace

Result<Registry> Registry::create(std::vector<Registration> registrations,
                                  const ServerName& own_name) {
  struct Unique {
    std::string_view name;
    std::string Registration::* field;
  };
  std::string faults;
  for (const Unique& unique :
       {Unique{"id", &Registration::id}, Unique{"as_token", &Registration::as_token},
        Unique{"hs_token", &Registration::hs_token},
        Unique{"sender_localpart", &Registration::sender_localpart}}) {
    std::map<std::string_view, const Registration*> seen;
    for (const Registration& one : registrations) {
      const auto [first, is_new] = seen.emplace(one.*unique.field, &one);
      if (is_new) continue;
      faults.append(faults.empty() ? "" : "\n").append(one.file).append(": ").append(unique.name);
      faults.append(" is that of ").append(first->second->file).append(" too: each needs its own");
    }
  }
  if (!faults.empty()) return fail(ErrorCode::kInvalid, faults);
  return Registry(std::move(registrations), own_name);
}

const Registration* Registry::find_by_token(std::string_view as_token) const {
  const Registration* found = nullptr;
  for (const Registration& one : registrations_) {
    if (base::equal_in_constant_time(one.as_token, as_token)) found = &one;
  }
  return found;
}

Registry::Interested Registry::interested_in(const UserId& user) const {
  if (!is_own(user)) return {};
  return all_that(registrations_, [&](const Registration& one) {
    return one.sender_localpart == user.localpart() || matches(one.users, user.view());
  });
}

Registry::Interested Registry::interested_in(const RoomAlias& alias) const {
  return all_that(registrations_,
                  [&](const Registration& one) { return matches(one.aliases, alias.view()); });
}

Registry::Interested Registry::interested_in(const RoomId& room) const {
  return all_that(registrations_,
                  [&](const Registration& one) { return matches(one.rooms, room.view()); });
}

const Registration* Registry::owner_of(const UserId& user) const {
  if (!is_own(user)) return nullptr;
  return first_that(registrations_, [&](const Registration& one) {
    return one.sender_localpart == user.localpart() || matches_exclusively(one.users, user.view());
  });
}

const Registration* Registry::owner_of(const RoomAlias& alias) const {
  return first_that(registrations_, [&](const Registration& one) {
    return matches_exclusively(one.aliases, alias.view());
  });
}

}  // namespace polder::appservices
