// Errors as values. A function that can fail for reasons outside the program returns Result<T>;
// exceptions are for bugs and for start-up.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <utility>

namespace polder::json {
class Object;
}

namespace polder::base {

// What kind of failure; the HTTP edges choose status and Matrix errcode from it.
enum class ErrorCode : uint8_t {
  kMalformed,        // cannot be parsed at all (not JSON, not base64, ...)
  kInvalid,          // parsed, but breaks a rule of its format
  kBadType,          // parsed, but has a value of another type than its format says
  kMissing,          // a required part is absent
  kNotFound,         // what was asked for does not exist, or the asker may not know that it does
  kForbidden,        // understood and refused
  kUnauthenticated,  // who asks is not known
  kExists,           // would collide with what exists
  kTooLarge,         // over a limit of size, depth or count
  kRateLimited,      // too many requests
  kUnsupported,      // a version or an algorithm that is not known here
  kUnavailable,      // another server or service could not be reached, or answered with a failure
  kTimeout,          // not answered in time
  kBadSignature,     // a signature or a hash does not match
  kReadOnly,         // writing has stopped after a failure of the disk
  kCorrupt,          // what was read from disk cannot be what was written
  kIo,               // the operating system refused to read or write
  kInternal,         // a bug, reported rather than thrown
};

std::string_view to_string(ErrorCode code);

// An errcode of the Matrix specification. Made from literals only, so that it can be kept.
class Errcode {
 public:
  constexpr Errcode() = default;
  consteval Errcode(const char* literal) : text_(literal) {}  // NOLINT: implicit
  constexpr std::string_view view() const { return text_; }

 private:
  std::string_view text_;
};

struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;   // for people and logs: no secrets, no content of events
  Errcode errcode = {};  // where the specification names one for just this case, or a rule does
  std::shared_ptr<const json::Object> details = {};  // what else the answer is to say; else null
};

// Whether the same may go well later: somebody else did not answer.
inline bool is_temporary(const Error& error) {
  return error.code == ErrorCode::kUnavailable || error.code == ErrorCode::kTimeout;
}

inline Error fail(ErrorCode code, std::string message) {
  return Error{code, std::move(message)};
}
inline Error fail(ErrorCode code, Errcode errcode, std::string message) {
  return Error{code, std::move(message), errcode};
}

namespace internal {
// Of the errors in a Result. Compiled once: there is a Result in nearly every function, and an
// error in few of them.
void move_error(Error* to, Error* from) noexcept;  // to where none is; both are to be destroyed
void copy_error(Error* to, const Error* from);
void destroy_error(Error* error) noexcept;
}  // namespace internal

// A value or the error that prevented it. Access to the absent side is a bug and ends the program.
// It stays what it is when its content was moved away. (A variant would do the same, but each that
// a source names costs the compiler several times as much.)
template <class T>
class [[nodiscard]] Result {
 public:
  using Value = T;
  Result(T value) : value_(std::move(value)), ok_(true) {}       // NOLINT: implicit
  Result(Error error) : error_(std::move(error)), ok_(false) {}  // NOLINT: implicit
  Result(Result&& other) noexcept : ok_(other.ok_) { take(other); }
  Result(const Result& other) : ok_(other.ok_) {
    if (ok_) {
      ::new (static_cast<void*>(&value_)) T(other.value_);
    } else {
      internal::copy_error(&error_, &other.error_);
    }
  }
  Result& operator=(Result other) noexcept {
    drop();
    ok_ = other.ok_;
    take(other);
    return *this;
  }
  ~Result() { drop(); }

  bool ok() const { return ok_; }
  explicit operator bool() const { return ok_; }

  T& operator*() & { return get(); }
  const T& operator*() const& { return get(); }
  T&& operator*() && { return std::move(get()); }
  T* operator->() { return &get(); }
  const T* operator->() const { return &get(); }

  const Error& error() const& {
    if (ok_) std::abort();
    return error_;
  }
  Error&& error() && {
    if (ok_) std::abort();
    return std::move(error_);
  }
  T value_or(T other) && { return ok_ ? std::move(value_) : std::move(other); }

 private:
  T& get() {
    if (!ok_) std::abort();
    return value_;
  }
  const T& get() const {
    if (!ok_) std::abort();
    return value_;
  }
  // From one of the same side, where nothing is.
  void take(Result& other) noexcept {
    if (ok_) {
      ::new (static_cast<void*>(&value_)) T(std::move(other.value_));
    } else {
      internal::move_error(&error_, &other.error_);
    }
  }
  void drop() noexcept {
    if (ok_) {
      value_.~T();
    } else {
      internal::destroy_error(&error_);
    }
  }

  union {
    T value_;      // if ok_
    Error error_;  // otherwise
  };
  bool ok_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() : ok_(true) {}
  Result(Error error) : error_(std::move(error)), ok_(false) {}  // NOLINT: implicit
  Result(Result&& other) noexcept : ok_(other.ok_) {
    if (!ok_) internal::move_error(&error_, &other.error_);
  }
  Result(const Result& other) : ok_(other.ok_) {
    if (!ok_) internal::copy_error(&error_, &other.error_);
  }
  Result& operator=(Result other) noexcept {
    if (!ok_) internal::destroy_error(&error_);
    ok_ = other.ok_;
    if (!ok_) internal::move_error(&error_, &other.error_);
    return *this;
  }
  ~Result() {
    if (!ok_) internal::destroy_error(&error_);
  }

  bool ok() const { return ok_; }
  explicit operator bool() const { return ok_; }
  const Error& error() const& {
    if (ok_) std::abort();
    return error_;
  }
  Error&& error() && {
    if (ok_) std::abort();
    return std::move(error_);
  }

 private:
  union {
    Error error_;  // unless ok_
  };
  bool ok_;
};

// The outcome of something that has no value to give.
using Status = Result<void>;

}  // namespace polder::base

namespace polder {
using base::Errcode;
using base::Error;
using base::ErrorCode;
using base::fail;
using base::Result;
using base::Status;
}  // namespace polder

#define POLDER_CAT2(a, b) a##b
#define POLDER_CAT(a, b) POLDER_CAT2(a, b)

// POLDER_TRY(auto x, f()): declares x from the value, or returns the error to the caller.
#define POLDER_TRY(declaration, expression) \
  POLDER_TRY_IMPL(return, POLDER_CAT(polder_try_, __LINE__), declaration, expression)
// The same in a coroutine; the expression may contain co_await.
#define POLDER_CO_TRY(declaration, expression) \
  POLDER_TRY_IMPL(co_return, POLDER_CAT(polder_try_, __LINE__), declaration, expression)
#define POLDER_TRY_IMPL(return_word, name, declaration, expression) \
  auto name = (expression);                                         \
  if (!name.ok()) return_word std::move(name).error();              \
  declaration = *std::move(name)

// For a Status, or a Result whose value is not wanted.
#define POLDER_CHECK(expression) \
  if (auto polder_check = (expression); !polder_check.ok()) return std::move(polder_check).error()
#define POLDER_CO_CHECK(expression)                         \
  if (auto polder_check = (expression); !polder_check.ok()) \
  co_return std::move(polder_check).error()
