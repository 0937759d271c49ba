#include "homeserver/api/client/guests.h"

#include <algorithm>
#include <array>

namespace polder::client_api {
namespace {

using http::Method;

struct Operation {
  Method method;
  std::string_view path;
};

constexpr std::array kOpen = {
    // "for retrieving events and associated media"
    Operation{Method::kGet, "/_matrix/client/v3/rooms/{roomId}/state"},
    Operation{Method::kGet, "/_matrix/client/v3/rooms/{roomId}/state/{eventType}"},
    Operation{Method::kGet, "/_matrix/client/v3/rooms/{roomId}/state/{eventType}/"},
    Operation{Method::kGet, "/_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey}"},
    Operation{Method::kGet, "/_matrix/client/v3/rooms/{roomId}/context/{eventId}"},
    Operation{Method::kGet, "/_matrix/client/v3/rooms/{roomId}/event/{eventId}"},
    Operation{Method::kGet, "/_matrix/client/v3/rooms/{roomId}/messages"},
    Operation{Method::kGet, "/_matrix/client/v3/rooms/{roomId}/members"},
    Operation{Method::kGet, "/_matrix/client/v3/sync"},
    Operation{Method::kGet, "/_matrix/client/v1/media/download/{serverName}/{mediaId}"},
    Operation{Method::kGet, "/_matrix/client/v1/media/download/{serverName}/{mediaId}/{fileName}"},
    Operation{Method::kGet, "/_matrix/client/v1/media/thumbnail/{serverName}/{mediaId}"},
    // "for sending events"; a room is joined by its alias as it is by its id.
    Operation{Method::kPost, "/_matrix/client/v3/rooms/{roomId}/join"},
    Operation{Method::kPost, "/_matrix/client/v3/join/{roomIdOrAlias}"},
    Operation{Method::kPost, "/_matrix/client/v3/rooms/{roomId}/leave"},
    Operation{Method::kPut, "/_matrix/client/v3/rooms/{roomId}/send/{eventType}/{txnId}"},
    Operation{Method::kPut, "/_matrix/client/v3/rooms/{roomId}/state/{eventType}"},
    Operation{Method::kPut, "/_matrix/client/v3/rooms/{roomId}/state/{eventType}/"},
    Operation{Method::kPut, "/_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey}"},
    Operation{Method::kPut, "/_matrix/client/v3/sendToDevice/{eventType}/{txnId}"},
    // "for their own account maintenance"; whoever has a session may end it. Of the profile the
    // policy permits the display name only.
    Operation{Method::kPut, "/_matrix/client/v3/profile/{userId}/{keyName}"},
    Operation{Method::kDelete, "/_matrix/client/v3/profile/{userId}/{keyName}"},
    Operation{Method::kGet, "/_matrix/client/v3/devices"},
    Operation{Method::kGet, "/_matrix/client/v3/devices/{deviceId}"},
    Operation{Method::kPut, "/_matrix/client/v3/devices/{deviceId}"},
    Operation{Method::kGet, "/_matrix/client/v3/account/whoami"},
    Operation{Method::kPost, "/_matrix/client/v3/logout"},
    // "for end-to-end encryption"
    Operation{Method::kPost, "/_matrix/client/v3/keys/upload"},
    Operation{Method::kPost, "/_matrix/client/v3/keys/query"},
    Operation{Method::kPost, "/_matrix/client/v3/keys/claim"},
};

}  // namespace

bool is_open_to_guests(const http::Route& route) {
  // What anybody may ask for without a token.
  if (route.authentication == http::Authentication::kNone ||
      route.authentication == http::Authentication::kOptionalAccessToken)
    return true;
  return std::ranges::any_of(kOpen, [&](const Operation& operation) {
    return operation.method == route.method && operation.path == route.path;
  });
}

}  // namespace polder::client_api
