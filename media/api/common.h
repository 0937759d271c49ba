// What the handlers of this module share. Private to it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "homeserver/api/kit/operations.h"
#include "homeserver/api/kit/respond.h"
#include "media/api/api.h"

namespace polder::media_api {

using kit::Call;
using Operation = kit::Operation<const Api>;

// The URI of a path's parameters: CVE-2021-41281 came in here. kInvalid.
Result<MxcUri> uri_of(std::string_view server, std::string_view media_id);

// How long to wait for content that is still to come. kInvalid.
Result<Millis> wait_of(const Call& call);

// Whether the policy lets the user, or somebody without a session, do it.
Status ask_as_client(const Api& api, const policy::Act& act, const users::Session* session);

// What to answer for content that could not be had.
Error download_error(Error error);

}  // namespace polder::media_api
