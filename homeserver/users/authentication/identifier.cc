#include "homeserver/users/authentication/identifier.h"

#include "homeserver/base/json/reader.h"

namespace polder::users {
namespace {

Error nobody() {
  return fail(ErrorCode::kForbidden, "Invalid username or password");
}

// Localparts are lower case, as are server names; people's keyboards are not.
Result<UserId> user_of(std::string name, const ServerName& own) {
  for (char& c : name)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  auto user =
      name.starts_with('@') ? UserId::parse(name) : UserId::parse("@" + name + ":" + own.str());
  if (!user.ok() || user->server() != own.view()) return nobody();
  return user;
}

}  // namespace

Result<UserId> read_identifier(const json::Object& fields, const ServerName& own) {
  const json::Reader in(fields);
  POLDER_TRY(const json::Object* identifier, in.optional_object("identifier"));
  if (identifier == nullptr) {
    POLDER_TRY(const auto medium, in.optional_string("medium"));
    POLDER_TRY(const auto address, in.optional_string("address"));
    if (medium && address) return nobody();
    POLDER_TRY(std::string name, in.string("user"));
    return user_of(std::move(name), own);
  }
  const json::Reader of(*identifier, "identifier.");
  POLDER_TRY(const std::string type, of.string("type"));
  if (type == "m.id.user") {
    POLDER_TRY(std::string name, of.string("user"));
    return user_of(std::move(name), own);
  }
  if (type == "m.id.thirdparty") {
    POLDER_CHECK(of.string("medium"));
    POLDER_CHECK(of.string("address"));
    return nobody();
  }
  if (type == "m.id.phone") {
    POLDER_CHECK(of.string("country"));
    POLDER_CHECK(of.string("phone"));
    return nobody();
  }
  return fail(ErrorCode::kInvalid, "M_UNKNOWN", "Unknown login identifier");
}

}  // namespace polder::users
