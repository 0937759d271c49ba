// The outside things that even pure code is sometimes handed: time, randomness and a log. Each is
// an interface that comes from outside (docs/architecture.md, "no global state"), so that a
// simulation can decide what they say.
#pragma once

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

namespace polder::base {

using Millis = std::chrono::milliseconds;

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  // Milliseconds since the Unix epoch, as in origin_server_ts. May jump.
  virtual int64_t wall_ms() const = 0;
  // Never goes back; the origin is arbitrary.
  virtual std::chrono::nanoseconds steady() const = 0;
};

class SystemClock final : public Clock {
 public:
  int64_t wall_ms() const override;
  std::chrono::nanoseconds steady() const override;
};

// Cryptographically strong outside simulations. Thread-safe.
class Random {
 public:
  virtual ~Random() = default;
  virtual void fill(std::span<uint8_t> out) = 0;

  uint64_t next_u64();
  uint64_t below(uint64_t bound);     // uniform in [0, bound); bound > 0
  std::string letters(size_t count);  // uniform over a-z A-Z
  std::string bytes(size_t count);
};

class SystemRandom final : public Random {
 public:
  void fill(std::span<uint8_t> out) override;
};

enum class LogLevel : uint8_t { kDebug, kInfo, kWarning, kError };

// One named value of a log line. Never a secret, never an event's content.
struct LogField {
  LogField(std::string_view name, std::string_view value) : name(name), value(value) {}
  LogField(std::string_view name, const char* value) : name(name), value(value) {}
  template <class T>
    requires std::is_integral_v<T>
  LogField(std::string_view name, T value) : name(name), value(std::to_string(value)) {}
  template <class T>
    requires requires(const T& id) { id.view(); }
  LogField(std::string_view name, const T& id) : name(name), value(id.view()) {}

  std::string_view name;
  std::string value;
};

// Structured log lines: a fixed event name and named values. Thread-safe.
class Log {
 public:
  virtual ~Log() = default;
  virtual bool enabled(LogLevel level) const = 0;
  virtual void write(LogLevel level, std::string_view event, std::span<const LogField> fields) = 0;

  void debug(std::string_view event, std::initializer_list<LogField> fields = {});
  void info(std::string_view event, std::initializer_list<LogField> fields = {});
  void warning(std::string_view event, std::initializer_list<LogField> fields = {});
  void error(std::string_view event, std::initializer_list<LogField> fields = {});
};

// Discards everything: for tests and tools.
class NullLog final : public Log {
 public:
  bool enabled(LogLevel) const override { return false; }
  void write(LogLevel, std::string_view, std::span<const LogField>) override {}
};

}  // namespace polder::base

namespace polder {
using base::Clock;
using base::Log;
using base::LogLevel;
using base::Millis;
using base::Random;
}  // namespace polder
