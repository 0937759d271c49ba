// Errors on the wire, for every API: which status and errcode an error value becomes. Pure.
#pragma once

#include <string>
#include <string_view>

#include "homeserver/base/http/message.h"
#include "homeserver/base/json/value.h"
#include "homeserver/base/values/result.h"

namespace polder::http {

// The error with more members for its answer: room_version, for instance.
Error with_details(Error error, json::Object details);
// https://spec.matrix.org/v1.19/client-server-api/#standard-error-response
Response to_response(const Error& error);
// {"errcode", "error"} and the details, as in an error's response.
json::Object error_json(const Error& error);

}  // namespace polder::http
