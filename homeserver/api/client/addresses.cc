#include "homeserver/api/client/addresses.h"

#include "federation/client/client.h"
#include "storage/stores/rooms/directory_rows.h"

namespace polder::client_api {
namespace {

constexpr size_t kViaMax = 20;
constexpr size_t kAliasesMax = 100;  // of one canonical alias event

}  // namespace

// https://spec.matrix.org/v1.19/client-server-api/#room-aliases
Task<Result<RoomAddress>> resolve(const Api& api, std::string room_or_alias) {
  RoomAddress address;
  if (!room_or_alias.starts_with('#')) {
    POLDER_CO_TRY(address.room, RoomId::parse(room_or_alias));
    co_return address;
  }
  POLDER_CO_TRY(const RoomAlias alias, RoomAlias::parse(room_or_alias));
  const ServerName& own_name = api.accounts.parts().own_name;
  if (alias.server() != own_name.view()) {
    POLDER_CO_TRY(const ServerName server, ServerName::parse(alias.server()));
    auto found = co_await api.federation.directory(server, alias);
    if (!found.ok() && found.error().code == ErrorCode::kNotFound)
      co_return fail(ErrorCode::kNotFound, "Room alias not found");
    if (!found.ok()) co_return found.error();
    co_return RoomAddress{std::move(found->room), std::move(found->servers)};
  }
  POLDER_CO_TRY(const auto row, co_await runtime::on_pool(api.runtime, [&api, alias] {
                  return stores::read_alias(*api.database.snapshot(), alias);
                }));
  if (!row) co_return fail(ErrorCode::kNotFound, "Room alias not found");
  address.room = row->room;
  address.servers.push_back(own_name);
  co_return address;
}

Task<Result<RoomAddress>> resolve_with_query(const Api& api, const Call& call, std::string named) {
  std::vector<ServerName> via;
  for (const std::string_view name : {"via", "server_name"}) {
    for (const std::string& value : call.request().query_parameters(name)) {
      POLDER_CO_TRY(ServerName server, ServerName::parse(value));
      if (via.size() < kViaMax) via.push_back(std::move(server));
    }
  }
  POLDER_CO_TRY(RoomAddress address, co_await resolve(api, std::move(named)));
  address.servers.insert(address.servers.begin(), via.begin(), via.end());
  co_return address;
}

// https://spec.matrix.org/v1.19/client-server-api/#mroomcanonical_alias
Result<std::vector<std::string>> aliases_named_in(const json::Object& content) {
  std::vector<std::string> named;
  const json::Reader in(content);
  POLDER_TRY(const auto others, in.optional_strings("alt_aliases", {.count_max = kAliasesMax}));
  if (others) named = *others;
  // The main alias is cleared by null too.
  const json::Value* main_alias = content.find("alias");
  if (main_alias != nullptr && !main_alias->is_null()) {
    POLDER_TRY(std::string alias, in.string("alias"));
    if (!alias.empty()) named.push_back(std::move(alias));
  }
  for (const std::string& alias : named)
    POLDER_CHECK(RoomAlias::parse(alias));
  return named;
}

}  // namespace polder::client_api
