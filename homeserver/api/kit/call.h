// One request, authenticated and parsed as far as its operation says.
#pragma once

#include <optional>
#include <string_view>

#include "homeserver/api/kit/caller.h"
#include "homeserver/api/kit/query.h"
#include "homeserver/base/http/router.h"
#include "homeserver/base/json/reader.h"

namespace polder::kit {

struct Call {
  http::Exchange& exchange;
  json::Object body;      // empty if the operation takes none, or its text
  std::string text = {};  // else empty

  const http::Request& request() const { return exchange.request; }
  // Of operations that need a token; without one it is a bug.
  const users::Session& session() const;
  // Null if nobody gave a token, where it may be left out.
  const users::Session* session_if_any() const;
  // Of operations that other servers ask for; else it is a bug.
  const ServerName& origin() const;

  std::string_view path(std::string_view name) const { return request().path_parameter(name); }
  std::optional<std::string_view> query(std::string_view name) const {
    return request().query_parameter(name);
  }
  Query query() const { return Query(request()); }
  // The members of the body.
  json::Reader fields() const { return json::Reader(body); }
};

// The room that the path's {roomId} names; kInvalid if it is no room id.
Result<RoomId> room_of(const Call& call);

}  // namespace polder::kit
