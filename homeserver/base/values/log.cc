#include "homeserver/base/values/log.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <algorithm>
#include <atomic>

namespace polder::base {
namespace {

constexpr size_t kValueBytesMax = 1024;

spdlog::level::level_enum spdlog_level(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

bool is_plain(char c) {
  return static_cast<uint8_t>(c) > 0x20 && c != '"' && c != '\\' && c != '=' &&
         static_cast<uint8_t>(c) < 0x7F;
}

void append_value(std::string_view value, std::string& out) {
  const bool cut = value.size() > kValueBytesMax;
  value = value.substr(0, kValueBytesMax);
  if (!value.empty() && !cut && std::ranges::all_of(value, is_plain)) {
    out.append(value);
    return;
  }
  constexpr std::string_view kDigits = "0123456789abcdef";
  out.push_back('"');
  for (const char c : value) {
    const auto byte = static_cast<uint8_t>(c);
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (byte < 0x20 || byte == 0x7F) {
      out.append("\\x").push_back(kDigits[byte >> 4]);
      out.push_back(kDigits[byte & 15]);
    } else {
      out.push_back(c);
    }
  }
  out.append(cut ? "...\"" : "\"");
}

class StderrLog final : public SystemLog {
 public:
  explicit StderrLog(LogLevel level)
      : level_(level), logger_("polder", std::make_shared<spdlog::sinks::stderr_sink_mt>()) {
    logger_.set_level(spdlog_level(level));
    logger_.set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l %v", spdlog::pattern_time_type::utc);
  }
  void set_level(LogLevel level) override {
    level_ = level;
    logger_.set_level(spdlog_level(level));
  }
  bool enabled(LogLevel level) const override { return level >= level_; }
  void write(LogLevel level, std::string_view event, std::span<const LogField> fields) override {
    const std::string line = format_log_line(event, fields);
    logger_.log(spdlog_level(level), spdlog::string_view_t(line.data(), line.size()));
  }

 private:
  std::atomic<LogLevel> level_;
  spdlog::logger logger_;
};

}  // namespace

std::string format_log_line(std::string_view event, std::span<const LogField> fields) {
  std::string line(event);
  for (const LogField& field : fields) {
    line.append(" ").append(field.name).append("=");
    append_value(field.value, line);
  }
  return line;
}

std::unique_ptr<SystemLog> make_system_log(LogLevel level) {
  return std::make_unique<StderrLog>(level);
}

}  // namespace polder::base
