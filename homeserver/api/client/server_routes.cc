// What a client asks before anything else.
#include "homeserver/api/client/api.h"
#include "homeserver/base/crypto/hash.h"
#include "homeserver/protocol/events/room_version.h"

namespace polder::client_api {
namespace {

using http::Method;
using http::Response;

constexpr std::string_view kVersions[] = {"r0.0.1", "r0.1.0", "r0.2.0", "r0.3.0", "r0.4.0",
                                          "r0.5.0", "r0.6.0", "r0.6.1", "v1.1",   "v1.2",
                                          "v1.3",   "v1.4",   "v1.5",   "v1.6",   "v1.7",
                                          "v1.8",   "v1.9",   "v1.10",  "v1.11",  "v1.12"};

// https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientversions
Task<Result<Response>> versions(const Api&, Call&) {
  json::Array list;
  for (const std::string_view version : kVersions)
    list.emplace_back(version);
  co_return ok_json(
      {{"versions", list}, {"unstable_features", json::object({{"org.matrix.msc4222", true}})}});
}

// https://spec.matrix.org/v1.19/client-server-api/#getwell-knownmatrixclient
Task<Result<Response>> well_known(const Api& api, Call&) {
  if (api.settings->public_base_url.empty()) co_return fail(ErrorCode::kNotFound, "Not configured");
  co_return ok_json(
      {{"m.homeserver", json::object({{"base_url", api.settings->public_base_url}})}});
}

// https://spec.matrix.org/v1.19/server-server-api/#getwell-knownmatrixserver
// Where the client's is: one listener answers for the server's name.
Task<Result<Response>> well_known_of_servers(const Api& api, Call&) {
  const auto settings = api.settings.get();
  if (settings->federation_address.empty()) co_return fail(ErrorCode::kNotFound, "Not configured");
  co_return ok_json({{"m.server", settings->federation_address}});
}

// https://spec.matrix.org/v1.19/client-server-api/#capabilities-negotiation
Task<Result<Response>> capabilities(const Api& api, Call&) {
  json::Object available;
  for (const auto& rules : events::room_versions())
    available.set(std::string(rules.id), rules.stable ? "stable" : "unstable");
  const auto enabled = [](bool flag) { return json::object({{"enabled", flag}}); };
  co_return ok_json({{"capabilities",
                      json::object({{"m.change_password", enabled(true)},
                                    {"m.set_displayname", enabled(true)},
                                    {"m.set_avatar_url", enabled(true)},
                                    {"m.3pid_changes", enabled(false)},
                                    {"m.get_login_token", enabled(false)},
                                    {"m.room_versions",
                                     json::object({{"default", api.settings->default_room_version},
                                                   {"available", available}})}})}});
}

// https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3voipturnserver: credentials as
// in draft-uberti-behave-turn-rest-00.
Task<Result<Response>> turn_server(const Api& api, Call& call) {
  const auto settings = api.settings.get();
  if (settings->turn_uris.empty()) co_return empty_json();
  const int64_t expires_s = api.runtime.clock().wall_ms() / 1000 + settings->turn_ttl_s;
  const std::string username = std::to_string(expires_s) + ":" + call.session().user.str();
  json::Array uris;
  for (const std::string& uri : settings->turn_uris)
    uris.emplace_back(uri);
  co_return ok_json({{"username", username},
                     {"password", crypto::hmac_sha1_base64(settings->turn_secret, username)},
                     {"ttl", settings->turn_ttl_s},
                     {"uris", uris}});
}

constexpr kit::Terms kUncounted{.authentication = http::Authentication::kNone,
                                .rate = http::RateClass::kNone};
constexpr Operation kServerOperations[] = {
    {"getVersions", Method::kGet, "/_matrix/client/versions", versions, kUncounted},
    {"getWellknown", Method::kGet, "/.well-known/matrix/client", well_known, kUncounted},
    {"getWellKnown", Method::kGet, "/.well-known/matrix/server", well_known_of_servers, kUncounted},
    {"getCapabilities", Method::kGet, "/_matrix/client/v3/capabilities", capabilities},
    {"getTurnServer", Method::kGet, "/_matrix/client/v3/voip/turnServer", turn_server},
};

}  // namespace

void add_server_routes(http::Router& router, const Api& api) {
  // The versions r0.* that clients are told of have their paths.
  router.add_alias("/_matrix/client/r0/", "/_matrix/client/v3/");
  add_operations(router, api, kServerOperations);
}

}  // namespace polder::client_api
