#include "homeserver/api/client/guests.h"

#include <algorithm>
#include <array>

namespace polder::client_api {
namespace {

using http::Method;

struct OpenOperation {
  Method method;
  std::string_view path;
};

constexpr std::array kGuestRoutes = {
    // "for retrieving events and associated media"
    OpenOperation{Method::kGet, "/_matrix/client/v3/rooms/{roomId}/state"},
    OpenOperation{Method::kGet, "/_matrix/client/v3/rooms/{roomId}/state/{eventType}"},
    OpenOperation{Method::kGet, "/_matrix/client/v3/rooms/{roomId}/state/{eventType}/"},
    OpenOperation{Method::kGet, "/_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey}"},
    OpenOperation{Method::kGet, "/_matrix/client/v3/rooms/{roomId}/context/{eventId}"},
    OpenOperation{Method::kGet, "/_matrix/client/v3/rooms/{roomId}/event/{eventId}"},
    OpenOperation{Method::kGet, "/_matrix/client/v3/rooms/{roomId}/messages"},
    OpenOperation{Method::kGet, "/_matrix/client/v3/rooms/{roomId}/members"},
    OpenOperation{Method::kGet, "/_matrix/client/v3/sync"},
    OpenOperation{Method::kGet, "/_matrix/client/v1/media/download/{serverName}/{mediaId}"},
    OpenOperation{Method::kGet,
                  "/_matrix/client/v1/media/download/{serverName}/{mediaId}/{fileName}"},
    OpenOperation{Method::kGet, "/_matrix/client/v1/media/thumbnail/{serverName}/{mediaId}"},
    // "for sending events"; a room is joined by its alias as it is by its id.
    OpenOperation{Method::kPost, "/_matrix/client/v3/rooms/{roomId}/join"},
    OpenOperation{Method::kPost, "/_matrix/client/v3/join/{roomIdOrAlias}"},
    OpenOperation{Method::kPost, "/_matrix/client/v3/rooms/{roomId}/leave"},
    OpenOperation{Method::kPut, "/_matrix/client/v3/rooms/{roomId}/send/{eventType}/{txnId}"},
    OpenOperation{Method::kPut, "/_matrix/client/v3/rooms/{roomId}/state/{eventType}"},
    OpenOperation{Method::kPut, "/_matrix/client/v3/rooms/{roomId}/state/{eventType}/"},
    OpenOperation{Method::kPut, "/_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey}"},
    OpenOperation{Method::kPut, "/_matrix/client/v3/sendToDevice/{eventType}/{txnId}"},
    // "for their own account maintenance"; whoever has a session may end it. Of the profile the
    // policy permits the display name only.
    OpenOperation{Method::kPut, "/_matrix/client/v3/profile/{userId}/{keyName}"},
    OpenOperation{Method::kDelete, "/_matrix/client/v3/profile/{userId}/{keyName}"},
    OpenOperation{Method::kGet, "/_matrix/client/v3/devices"},
    OpenOperation{Method::kGet, "/_matrix/client/v3/devices/{deviceId}"},
    OpenOperation{Method::kPut, "/_matrix/client/v3/devices/{deviceId}"},
    OpenOperation{Method::kGet, "/_matrix/client/v3/account/whoami"},
    OpenOperation{Method::kPost, "/_matrix/client/v3/logout"},
    // "for end-to-end encryption"
    OpenOperation{Method::kPost, "/_matrix/client/v3/keys/upload"},
    OpenOperation{Method::kPost, "/_matrix/client/v3/keys/query"},
    OpenOperation{Method::kPost, "/_matrix/client/v3/keys/claim"},
};

}  // namespace

bool is_open_to_guests(const http::Route& route) {
  // What anybody may ask for without a token.
  if (route.authentication == http::Authentication::kNone ||
      route.authentication == http::Authentication::kOptionalAccessToken)
    return true;
  return std::ranges::any_of(kGuestRoutes, [&](const OpenOperation& operation) {
    return operation.method == route.method && operation.path == route.path;
  });
}

}  // namespace polder::client_api
