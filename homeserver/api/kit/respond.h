// What handlers answer with.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "homeserver/base/http/errors.h"
#include "homeserver/base/http/message.h"
#include "homeserver/base/json/value.h"
#include "homeserver/base/values/log.h"

namespace polder::kit {

http::Response ok_json(const json::Object& object);
http::Response empty_json();

// The rest of a response that is made while it is sent: what `more` gives until it gives nothing.
// After an error, which is logged, the response ends where no client takes it for whole. The log
// and what `route` is of outlive it.
using More = std::function<Task<Result<std::optional<std::string>>>()>;
std::unique_ptr<http::BodySource> streamed(Log& log, std::string_view route, More more);

}  // namespace polder::kit
