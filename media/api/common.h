// What the handlers of this module share. Private to it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "homeserver/users/users.h"
#include "media/api/api.h"

namespace polder::media_api {

using Action = Task<Result<http::Response>> (*)(const Api& api, http::Exchange& exchange);

// Adds a route whose handler's errors are answered as the specification says.
void add_route(http::Router& router, const Api& api, http::Route route, Action action);

// Who asks; nullptr if nobody in particular.
const users::Session* session_of(const http::Exchange& exchange);

// The URI of a path's parameters: CVE-2021-41281 came in here. kInvalid.
Result<MxcUri> uri_of(std::string_view server, std::string_view media_id);

// How long to wait for content that is still to come. kInvalid.
Result<Millis> wait_of(const http::Request& request);

// What to answer for content that could not be had.
Error download_error(Error error);

}  // namespace polder::media_api
