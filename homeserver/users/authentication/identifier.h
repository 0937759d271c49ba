// Whom a client means: https://spec.matrix.org/v1.19/client-server-api/#identifier-types. Pure.
#pragma once

#include "homeserver/base/json/value.h"
#include "homeserver/base/values/ids.h"

namespace polder::users {

// The local user whom a log-in, or the `auth` of a password, names: by an identifier, or by the
// members that stood for it before there were identifiers. kMissing if there is neither; kForbidden
// for users of other servers, and for every address and phone number, since none is known here ("in
// the case that the homeserver does not know about the supplied 3PID, the homeserver must respond
// with 403 Forbidden"); M_UNKNOWN for a type that is not specified.
Result<UserId> read_identifier(const json::Object& fields, const ServerName& own);

}  // namespace polder::users
