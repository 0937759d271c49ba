#include "homeserver/api/client/exclusive.h"

#include <algorithm>

namespace polder::client_api {
namespace {

// Whoever claims so many in a row claims, in all likelihood, every name.
constexpr int kNamesMadeUpMax = 20;

// Accounts are registered in small letters, however their names are written.
std::string in_small_letters(std::string text) {
  std::ranges::transform(text, text.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return text;
}

Error claimed(std::string_view what) {
  return fail(ErrorCode::kInvalid, "M_EXCLUSIVE",
              "This " + std::string(what) + " is claimed by an application service");
}

}  // namespace

Status check_user_not_claimed(const Api& api, const std::string& localpart) {
  const auto user = UserId::create(in_small_letters(localpart), api.accounts.parts().own_name);
  if (!user.ok()) return {};
  if (api.settings->appservices->owner_of(*user) != nullptr) return claimed("user ID");
  return {};
}

Result<std::string> new_localpart(const Api& api, std::string wanted) {
  const bool made_up = wanted.empty();
  Status claimed;
  for (int i = 0; i < (made_up ? kNamesMadeUpMax : 1); ++i) {
    if (made_up) wanted = api.accounts.make_up_localpart();
    claimed = check_user_not_claimed(api, wanted);
    if (claimed.ok()) return wanted;
  }
  return claimed.error();
}

Status check_alias_not_claimed(const Api& api, const RoomAlias& alias) {
  if (api.settings->appservices->owner_of(alias) != nullptr) return claimed("alias");
  return {};
}

}  // namespace polder::client_api
