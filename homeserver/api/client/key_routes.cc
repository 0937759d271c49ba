// End-to-end encryption: keys, cross-signing, messages to devices.
// https://spec.matrix.org/v1.19/client-server-api/#end-to-end-encryption
#include "federation/devices/devices.h"
#include "homeserver/api/client/api.h"
#include "homeserver/api/client/interactive_auth.h"
#include "homeserver/api/kit/key_pieces.h"
#include "homeserver/sync/classic/device_lists.h"
#include "homeserver/sync/classic/tokens.h"
#include "homeserver/users/keys/device_keys.h"

namespace polder::client_api {
namespace {

using http::Method;
using http::Response;

constexpr const char* kQueryPath = "/_matrix/client/v3/keys/query";
constexpr size_t kUsersMax = 1000;  // of one query or claim
constexpr int64_t kTimeoutDefaultMs = 10'000;
constexpr int64_t kTimeoutMaxMs = 60'000;

// How long to wait for other servers.
Result<Millis> timeout_of(const Call& call) {
  POLDER_TRY(const int64_t asked, call.fields().integer_or("timeout", kTimeoutDefaultMs));
  return Millis(std::clamp<int64_t>(asked, 0, kTimeoutMaxMs));
}

json::Object failures_json(const devices::Answer& answer) {
  json::Object failures;
  for (const auto& [server, error] : answer.failures)
    failures.set(server.str(), http::error_json(error));
  return failures;
}

Response answer_json(const devices::Answer& answer) {
  json::Object body = answer.keys;
  body.set("failures", failures_json(answer));
  return ok_json(body);
}

json::Object counts_json(const std::map<std::string, int64_t>& counts) {
  json::Object object;
  for (const auto& [algorithm, count] : counts)
    object.set(algorithm, count);
  // Clients take a missing algorithm for "not told".
  if (!object.contains("signed_curve25519")) object.set("signed_curve25519", 0);
  return object;
}

Task<Result<Response>> upload(const Api& api, Call& call) {
  const auto counts = co_await api.device_keys.upload(call.session(), std::move(call.body));
  if (!counts.ok() && counts.error().code == ErrorCode::kInvalid)
    co_return fail(ErrorCode::kInvalid, "M_BAD_JSON", counts.error().message);
  if (!counts.ok()) co_return counts.error();
  co_return ok_json({{"one_time_key_counts", counts_json(*counts)}});
}

Task<Result<Response>> query(const Api& api, Call& call) {
  POLDER_CO_TRY(const Millis timeout, timeout_of(call));
  POLDER_CO_TRY(const json::Object* wanted, call.fields().object("device_keys", {kUsersMax}));
  users::WantedKeys users;
  for (const auto& [name, devices] : *wanted) {
    POLDER_CO_TRY(UserId user, UserId::parse(name));
    POLDER_CO_TRY(auto only, json::read_strings(devices, "the devices of a user"));
    users.emplace_back(std::move(user), std::move(only));
  }
  POLDER_CO_TRY(auto others,
                co_await api.devices.encryption.query_others(call.session(), users, timeout));
  kit::KeyPieces pieces;
  pieces.wanted = std::move(users);
  pieces.read = [&api, asker = call.session().user](users::WantedKeys some) {
    return api.devices.encryption.query_known(asker, std::move(some));
  };
  pieces.at_hand = std::move(others.keys);
  pieces.all_lists = true;
  pieces.failures = failures_json(others);
  co_return co_await kit::keys_in_pieces(api.runtime, kQueryPath, std::move(pieces));
}

Task<Result<Response>> claim(const Api& api, Call& call) {
  POLDER_CO_TRY(const Millis timeout, timeout_of(call));
  POLDER_CO_TRY(const json::Object* wanted, call.fields().object("one_time_keys", {kUsersMax}));
  devices::WantedOneTimeKeys keys;
  for (const auto& [name, devices] : *wanted) {
    POLDER_CO_TRY(const UserId user, UserId::parse(name));
    POLDER_CO_TRY(const json::Object* of_user, json::read_object(devices, "the devices of a user"));
    for (const auto& [device_name, algorithm] : *of_user) {
      POLDER_CO_TRY(const DeviceId device, DeviceId::parse(device_name));
      POLDER_CO_TRY(std::string name_of_algorithm, json::read_string(algorithm, "an algorithm"));
      keys.emplace_back(user, device, std::move(name_of_algorithm));
    }
  }
  if (keys.size() > kUsersMax) co_return fail(ErrorCode::kTooLarge, "Too many keys");
  POLDER_CO_TRY(const auto answer, co_await api.devices.encryption.claim(std::move(keys), timeout));
  co_return answer_json(answer);
}

Task<Result<json::Object>> replace_cross_signing(const Api& api, users::Session session,
                                                 json::Object body) {
  POLDER_CO_CHECK(
      co_await api.device_keys.upload_cross_signing(std::move(session), std::move(body), true));
  co_return json::Object();
}

// Keys that are new beside none need no confirmation, and neither do those that are there already
// (https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysdevice_signingupload).
Task<Result<Response>> upload_cross_signing(const Api& api, Call& call) {
  POLDER_CO_TRY(auto confirmation, read_confirmation(api, call));
  for (const std::string_view key : {"master_key", "self_signing_key", "user_signing_key"})
    POLDER_CO_CHECK(call.fields().optional_object(key));
  POLDER_CO_TRY(const auto outcome,
                co_await api.device_keys.upload_cross_signing(call.session(), call.body, false));
  if (outcome != users::CrossSigning::kUnconfirmed) co_return empty_json();
  auto carry_out = [&api, session = call.session(), body = call.body] {
    return replace_cross_signing(api, session, body);
  };
  co_return co_await confirmed(api, call, std::move(confirmation), std::move(carry_out));
}

Task<Result<Response>> upload_signatures(const Api& api, Call& call) {
  POLDER_CO_TRY(const auto refused,
                co_await api.device_keys.upload_signatures(call.session(), std::move(call.body)));
  json::Object failures;
  for (const users::RefusedSignature& one : refused) {
    if (!failures.contains(one.user)) failures.set(one.user, json::Object());
    failures.find(one.user)->as_object()->set(one.key, http::error_json(one.error));
  }
  co_return ok_json({{"failures", std::move(failures)}});
}

Task<Result<Response>> changes(const Api& api, Call& call) {
  POLDER_CO_TRY(const std::string_view after, call.query().text("from"));
  POLDER_CO_TRY(const std::string_view up_to, call.query().text("to"));
  const auto from = sync::parse_stream_token(after);
  const auto to = sync::parse_stream_token(up_to);
  if (!from || !to) co_return fail(ErrorCode::kInvalid, "from and to must be tokens of sync");
  const auto number = call.session().number;
  POLDER_CO_TRY(const auto lists, co_await runtime::on_pool(api.runtime, [&api, number, from, to] {
                  return sync::device_list_changes(api.rooms, api.database.snapshot(), number,
                                                   from->position, to->position);
                }));
  co_return ok_json({{"changed", lists.changed}, {"left", lists.left}});
}

// A message goes out once for a transaction id.
Task<Result<Response>> send_to_device(const Api& api, Call& call) {
  POLDER_CO_TRY(const json::Object* messages, call.fields().object("messages", {kUsersMax}));
  users::ToDevice message{std::string(call.path("eventType")), std::string(call.path("txnId")),
                          *messages, kv::Batch()};
  POLDER_CO_CHECK(co_await api.devices.encryption.send(call.session(), std::move(message)));
  co_return empty_json();
}

constexpr kit::Terms kBody{.body_max = kLargeBody};
constexpr Operation kKeyOperations[] = {
    {"uploadKeys", Method::kPost, "/_matrix/client/v3/keys/upload", upload, kBody},
    {"queryKeys", Method::kPost, kQueryPath, query, kBody},
    {"claimKeys", Method::kPost, "/_matrix/client/v3/keys/claim", claim, kBody},
    {"uploadCrossSigningKeys", Method::kPost, "/_matrix/client/v3/keys/device_signing/upload",
     upload_cross_signing, kBody},
    {"uploadCrossSigningSignatures", Method::kPost, "/_matrix/client/v3/keys/signatures/upload",
     upload_signatures, kBody},
    {"getKeysChanges", Method::kGet, "/_matrix/client/v3/keys/changes", changes},
    // Not among messages: keys for a large room go out in hundreds of these before one message
    // does.
    {"sendToDevice", Method::kPut, "/_matrix/client/v3/sendToDevice/{eventType}/{txnId}",
     send_to_device, kBody},
};

}  // namespace

void add_key_routes(http::Router& router, const Api& api) {
  add_operations(router, api, kKeyOperations);
}

}  // namespace polder::client_api
