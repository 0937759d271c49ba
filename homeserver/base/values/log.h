// The log of the program: one line an event, as key=value pairs, to standard error.
#pragma once

#include <memory>

#include "homeserver/base/values/environment.h"

namespace polder::base {

class SystemLog : public Log {
 public:
  virtual void set_level(LogLevel level) = 0;  // of what is written from now on
};

// Values are escaped, so that what others chose cannot forge a line or a field. Thread-safe.
std::unique_ptr<SystemLog> make_system_log(LogLevel level);

// One line without its end, as make_system_log() writes it after time and level.
std::string format_log_line(std::string_view event, std::span<const LogField> fields);

}  // namespace polder::base
