// The log of the program: one line an event, as key=value pairs, to standard error.
#pragma once

#include <memory>

#include "homeserver/base/values/environment.h"

namespace polder::base {

// Values are escaped, so that what others chose cannot forge a line or a field. Thread-safe.
std::unique_ptr<Log> make_system_log(LogLevel level);

// One line without its end, as make_system_log() writes it after time and level.
std::string format_log_line(std::string_view event, std::span<const LogField> fields);

}  // namespace polder::base
