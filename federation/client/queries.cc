#include "federation/client/client.h"
#include "federation/wire/multipart.h"
#include "homeserver/base/json/parse.h"
#include "homeserver/base/json/write.h"

namespace polder::client {
namespace {

constexpr size_t kDirectoryServersMax = 1000;
constexpr size_t kDevicesMax = 10'000;
constexpr size_t kMediaOverhead = 64 * 1024;  // the multipart's own bytes
constexpr Millis kTransferTime{60'000};       // of media, once they are there

transport::Call of_media() {
  transport::Call call;
  call.demand.cause = egress::Cause::kMedia;
  return call;
}

// Device keys must be of the device and user that they are told of.
bool keys_are_of(const json::Object& keys, const UserId& user, std::string_view device) {
  const std::string* user_id = keys.find_string("user_id");
  const std::string* device_id = keys.find_string("device_id");
  return user_id != nullptr && *user_id == user.view() && device_id != nullptr &&
         *device_id == device;
}

std::optional<json::Object> cross_signing_key(const json::Object& answer, const char* name,
                                              const UserId& user) {
  const json::Object* key = answer.find_object(name);
  if (key == nullptr) return {};
  const std::string* user_id = key->find_string("user_id");
  if (user_id == nullptr || *user_id != user.view()) return {};
  return *key;
}

Result<RemoteDevices> read_devices(const json::Object& answer, const UserId& user) {
  const std::string* user_id = answer.find_string("user_id");
  const json::Array* devices = answer.find_array("devices");
  const auto stream_id = answer.find_int("stream_id");
  if (user_id == nullptr || *user_id != user.view() || devices == nullptr || !stream_id)
    return fail(ErrorCode::kInvalid, "not the devices of " + user.str());
  if (devices->size() > kDevicesMax) return fail(ErrorCode::kTooLarge, "too many devices");
  RemoteDevices found;
  found.stream_id = *stream_id;
  for (const json::Value& value : *devices) {
    const json::Object* device = value.as_object();
    const std::string* id = device != nullptr ? device->find_string("device_id") : nullptr;
    const json::Object* keys = device != nullptr ? device->find_object("keys") : nullptr;
    if (id == nullptr || keys == nullptr || !keys_are_of(*keys, user, *id)) continue;
    auto device_id = DeviceId::parse(*id);
    if (!device_id.ok()) continue;
    const std::string* name = device->find_string("device_display_name");
    found.devices.push_back(
        {*std::move(device_id), *keys, name != nullptr ? std::optional(*name) : std::nullopt});
  }
  found.master_key = cross_signing_key(answer, "master_key", user);
  found.self_signing_key = cross_signing_key(answer, "self_signing_key", user);
  return found;
}

}  // namespace

// Of what anybody may ask for by naming a server: all that a Matrix server could say is that there
// is no such thing. Anything else is no answer, be it a mail server's.
Task<Result<json::Object>> FederationClient::ask_for(ServerName server, transport::Call call) {
  auto answer = co_await servers_.request(server, std::move(call));
  if (answer.ok()) co_return answer;
  const Error& error = answer.error();
  if (error.code == ErrorCode::kNotFound && error.message.starts_with("M_NOT_FOUND"))
    co_return error;
  co_return transport::not_asked(server);
}

// https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1queryprofile
Task<Result<json::Object>> FederationClient::profile(ServerName server, UserId user,
                                                     std::optional<std::string> field) {
  transport::Call call = of_user();
  call.path = "/_matrix/federation/v1/query/profile";
  call.query = {{"user_id", user.str()}};
  if (field) call.query.emplace_back("field", *field);
  call.body_max = 128 * 1024;
  POLDER_CO_TRY(auto answer, co_await ask_for(server, std::move(call)));
  for (const char* name : {"displayname", "avatar_url"}) {
    if (answer.contains(name) && answer.find_string(name) == nullptr) answer.erase(name);
  }
  co_return answer;
}

// https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1querydirectory
Task<Result<RoomAddress>> FederationClient::directory(ServerName server, RoomAlias alias) {
  transport::Call call = of_user();
  call.path = "/_matrix/federation/v1/query/directory";
  call.query = {{"room_alias", alias.str()}};
  call.body_max = 1 << 20;
  POLDER_CO_TRY(const auto answer, co_await ask_for(server, std::move(call)));
  const std::string* room = answer.find_string("room_id");
  const json::Array* servers = answer.find_array("servers");
  auto room_id = RoomId::parse(room != nullptr ? *room : std::string());
  if (!room_id.ok() || servers == nullptr) co_return transport::not_asked(server);
  RoomAddress address;
  address.room = *std::move(room_id);
  for (const json::Value& value : *servers) {
    if (value.as_string() == nullptr || address.servers.size() == kDirectoryServersMax) continue;
    auto name = ServerName::parse(*value.as_string());
    if (name.ok()) address.servers.push_back(*std::move(name));
  }
  co_return address;
}

// https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1userdevicesuserid
Task<Result<RemoteDevices>> FederationClient::user_devices(ServerName server, UserId user) {
  transport::Call call;
  call.path = transport::path_of("/_matrix/federation/v1/user/devices", {user.view()});
  POLDER_CO_TRY(const auto answer, co_await servers_.request(std::move(server), std::move(call)));
  co_return read_devices(answer, user);
}

Task<Result<json::Object>> FederationClient::query_users(const char* path, const char* name,
                                                         std::vector<std::string> answers,
                                                         ServerName server, json::Object users) {
  transport::Call call = of_user();
  call.method = http::Method::kPost;
  call.path = path;
  call.body = json::write(json::Object{{name, users}});
  call.body_max = 32 << 20;
  POLDER_CO_TRY(auto answer, co_await servers_.request(server, std::move(call)));
  json::Object found;
  for (const std::string& key : answers) {
    const json::Object* by_user = answer.find_object(key);
    if (by_user == nullptr) continue;
    json::Object kept;
    for (const auto& [user, keys] : *by_user) {
      const auto id = UserId::parse(user);
      if (keys.as_object() != nullptr && users.contains(user) && id.ok() &&
          id->server() == server.view()) {
        kept.set(user, keys);
      }
    }
    found.set(key, std::move(kept));
  }
  co_return found;
}

// https://spec.matrix.org/v1.19/server-server-api/#post_matrixfederationv1userkeysquery
Task<Result<json::Object>> FederationClient::query_keys(ServerName server,
                                                        json::Object device_keys) {
  return query_users("/_matrix/federation/v1/user/keys/query", "device_keys",
                     {"device_keys", "master_keys", "self_signing_keys"}, std::move(server),
                     std::move(device_keys));
}

// https://spec.matrix.org/v1.19/server-server-api/#post_matrixfederationv1userkeysclaim
Task<Result<json::Object>> FederationClient::claim_keys(ServerName server,
                                                        json::Object one_time_keys) {
  return query_users("/_matrix/federation/v1/user/keys/claim", "one_time_keys", {"one_time_keys"},
                     std::move(server), std::move(one_time_keys));
}

// https://spec.matrix.org/v1.19/server-server-api/#post_matrixfederationv1publicrooms
Task<Result<json::Object>> FederationClient::public_rooms(ServerName server, json::Object query) {
  transport::Call call = of_user();
  call.method = http::Method::kPost;
  call.path = "/_matrix/federation/v1/publicRooms";
  call.body = json::write(query);
  POLDER_CO_TRY(auto answer, co_await servers_.request(std::move(server), std::move(call)));
  if (answer.find_array("chunk") == nullptr) co_return fail(ErrorCode::kInvalid, "no chunk");
  co_return answer;
}

// https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1hierarchyroomid
Task<Result<json::Object>> FederationClient::hierarchy(ServerName server, RoomId room,
                                                       bool suggested_only) {
  transport::Call call = of_user();
  call.path = transport::path_of("/_matrix/federation/v1/hierarchy", {room.view()});
  call.query = {{"suggested_only", suggested_only ? "true" : "false"}};
  POLDER_CO_TRY(auto answer, co_await servers_.request(std::move(server), std::move(call)));
  const json::Object* summary = answer.find_object("room");
  const std::string* id = summary != nullptr ? summary->find_string("room_id") : nullptr;
  if (id == nullptr || *id != room.view() || answer.find_array("children") == nullptr)
    co_return fail(ErrorCode::kInvalid, "not the hierarchy of the room");
  co_return answer;
}

// https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1mediadownloadmediaid
Task<Result<RemoteMedia>> FederationClient::media(ServerName server, std::string media_id,
                                                  Millis timeout, size_t bytes_max) {
  transport::Call call = of_media();
  call.path = transport::path_of("/_matrix/federation/v1/media/download", {media_id});
  call.query = {{"timeout_ms", std::to_string(timeout.count())}};
  call.timeout = timeout + kTransferTime;
  call.body_max = bytes_max + kMediaOverhead;
  auto answer = co_await multipart(server, std::move(call));
  if (answer.ok() || answer.error().code != ErrorCode::kUnsupported) co_return answer;
  co_return co_await unauthenticated_media(std::move(server), std::move(media_id), timeout,
                                           bytes_max);
}

// https://spec.matrix.org/v1.19/server-server-api/#content-repository: servers that do not know the
// endpoint are asked the old way, without being led on to others.
Task<Result<RemoteMedia>> FederationClient::unauthenticated_media(ServerName server,
                                                                  std::string media_id,
                                                                  Millis timeout,
                                                                  size_t bytes_max) {
  transport::Call call = of_media();
  call.path = transport::path_of("/_matrix/media/v3/download", {server.view(), media_id});
  call.query = {{"allow_remote", "false"}, {"timeout_ms", std::to_string(timeout.count())}};
  call.timeout = timeout + kTransferTime;
  call.body_max = bytes_max;
  call.authenticated = false;
  POLDER_CO_TRY(auto response, co_await servers_.call(std::move(server), std::move(call)));
  RemoteMedia media;
  media.content_type = response.headers.find("Content-Type");
  media.disposition = response.headers.find("Content-Disposition");
  media.bytes = std::move(response.body);
  media.counted = std::move(response.held);
  co_return media;
}

// https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1mediathumbnailmediaid
Task<Result<RemoteMedia>> FederationClient::thumbnail(ServerName server, std::string media_id,
                                                      ThumbnailQuery query, Millis timeout,
                                                      size_t bytes_max) {
  transport::Call call = of_media();
  call.path = transport::path_of("/_matrix/federation/v1/media/thumbnail", {media_id});
  call.query = {{"timeout_ms", std::to_string(timeout.count())},
                {"width", std::to_string(query.width)},
                {"height", std::to_string(query.height)},
                {"method", query.crop ? "crop" : "scale"},
                {"animated", query.animated ? "true" : "false"}};
  call.timeout = timeout + kTransferTime;
  call.body_max = bytes_max + kMediaOverhead;
  return multipart(std::move(server), std::move(call));
}

// Exactly two parts: JSON, and the media or where it is.
Task<Result<RemoteMedia>> FederationClient::multipart(ServerName server, transport::Call call) {
  POLDER_CO_TRY(auto response, co_await servers_.call(std::move(server), std::move(call)));
  POLDER_CO_TRY(const auto parts,
                wire::read_multipart(response.headers.find("Content-Type"), response.body, 2));
  if (parts.size() != 2) co_return fail(ErrorCode::kMalformed, "not two parts");
  POLDER_CO_CHECK(json::parse_object(parts[0].body));
  RemoteMedia media;
  media.content_type = parts[1].header("content-type");
  media.disposition = parts[1].header("content-disposition");
  media.location = parts[1].header("location");
  if (!media.location.empty()) co_return media;
  // The part is cut out of the answer rather than copied: it may be most of the memory there is.
  const size_t size = parts[1].body.size();
  const auto start = static_cast<size_t>(parts[1].body.data() - response.body.data());
  media.bytes = std::move(response.body);
  media.counted = std::move(response.held);
  media.bytes.resize(start + size);
  media.bytes.erase(0, start);
  co_return media;
}

}  // namespace polder::client
