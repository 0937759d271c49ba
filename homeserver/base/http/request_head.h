// The head of a request, read strictly: what two programs could read differently is how requests
// are smuggled, so it is refused and not mended. Pure.
// https://www.rfc-editor.org/rfc/rfc9112, https://www.rfc-editor.org/rfc/rfc9110
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "homeserver/base/http/message.h"

namespace polder::http {

// Why bytes are no request that is taken; the connection ends after the answer.
struct HeadFault {
  int status = 400;
  std::string reason;
};

// How the end of a request's body is known.
enum class Framing : uint8_t { kNone, kLength, kChunked };

struct RequestHead {
  Request request;         // without body
  bool http11 = true;      // 1.1 or a later 1.x; else 1.0
  bool keep_alive = true;  // as far as the client goes
  bool expects_continue = false;
  Framing framing = Framing::kNone;
  uint64_t length = 0;  // bytes, of kLength
};

// Finds where a head ends while its bytes arrive, and what cannot become a head as early as that is
// seen. Each byte is looked at once.
class HeadEnd {
 public:
  enum class Found : uint8_t { kMore, kWhole, kFault };
  // `bytes` is all that has come since the request before: at each call those of the last one, and
  // more.
  Found look(std::string_view bytes);
  // Whether more has come than the empty lines that may stand before a request.
  bool begun() const { return begin_ < seen_; }
  size_t size() const { return seen_; }              // after kWhole: of empty lines and head
  const HeadFault& fault() const { return fault_; }  // after kFault

 private:
  Found refuse(int status, std::string reason);
  bool skip_empty_lines(std::string_view bytes);
  Found look_at(std::string_view bytes, size_t place);

  size_t begin_ = 0;  // of the head
  size_t line_ = 0;   // of the line that is being read
  size_t seen_ = 0;
  HeadFault fault_;
};

// Reads a whole head, of which HeadEnd found nothing wrong.
std::variant<RequestHead, HeadFault> parse_head(std::string_view bytes);

// "name: value", as in heads and trailers; nothing if it is no such line.
std::optional<std::pair<std::string_view, std::string_view>> parse_field(std::string_view line);

}  // namespace polder::http
