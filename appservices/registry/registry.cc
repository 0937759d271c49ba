#include "appservices/registry/registry.h"

#include <algorithm>
#include <map>

#include "homeserver/base/values/bytes.h"

namespace polder::appservices {
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
  Registry made(std::move(registrations), own_name);
  POLDER_TRY(made.users_, made.join(&Registration::users, "users"));
  POLDER_TRY(made.aliases_, made.join(&Registration::aliases, "aliases"));
  POLDER_TRY(made.rooms_, made.join(&Registration::rooms, "rooms"));
  return made;
}

Result<Registry::Namespaces> Registry::join(std::vector<Namespace> Registration::* kind,
                                            std::string_view name) const {
  Namespaces joined;
  std::vector<Pattern> patterns;
  size_t size = 0;
  for (size_t i = 0; i < registrations_.size(); ++i) {
    for (const Namespace& one : registrations_[i].*kind) {
      size += one.pattern.size();
      patterns.push_back(one.pattern);
      joined.places.push_back({i, one.exclusive});
    }
    if (size <= kSetSizeMax) continue;
    return fail(ErrorCode::kInvalid,
                registrations_[i].file + ": namespaces." + std::string(name) +
                    ": its regular expressions and those of the files before it are too large"
                    " together: " +
                    std::to_string(size) + " instructions where " + std::to_string(kSetSizeMax) +
                    " are the most");
  }
  POLDER_TRY(joined.patterns, PatternSet::compile(std::move(patterns)));
  return joined;
}

std::vector<bool> Registry::holders(const Namespaces& namespaces, std::string_view id,
                                    bool exclusively) const {
  std::vector<bool> holders(registrations_.size());
  for (const size_t match : namespaces.patterns.matching(id)) {
    const Namespaces::Place& place = namespaces.places[match];
    if (place.exclusive || !exclusively) holders[place.registration] = true;
  }
  return holders;
}

std::vector<bool> Registry::holders_of(const UserId& user, bool exclusively) const {
  std::vector<bool> found = holders(users_, user.view(), exclusively);
  for (size_t i = 0; i < registrations_.size(); ++i) {
    if (registrations_[i].sender_localpart == user.localpart()) found[i] = true;
  }
  return found;
}

Registry::Interested Registry::those(const std::vector<bool>& chosen) const {
  Interested found;
  for (size_t i = 0; i < chosen.size(); ++i) {
    if (chosen[i]) found.push_back(&registrations_[i]);
  }
  return found;
}

const Registration* Registry::first(const std::vector<bool>& chosen) const {
  const auto found = std::ranges::find(chosen, true);
  return found != chosen.end() ? &registrations_[static_cast<size_t>(found - chosen.begin())]
                               : nullptr;
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
  return those(holders_of(user, false));
}

Registry::Interested Registry::interested_in(const RoomAlias& alias) const {
  return those(holders(aliases_, alias.view(), false));
}

Registry::Interested Registry::interested_in(const RoomId& room) const {
  return those(holders(rooms_, room.view(), false));
}

const Registration* Registry::owner_of(const UserId& user) const {
  if (!is_own(user)) return nullptr;
  return first(holders_of(user, true));
}

const Registration* Registry::owner_of(const RoomAlias& alias) const {
  return first(holders(aliases_, alias.view(), true));
}

}  // namespace polder::appservices
