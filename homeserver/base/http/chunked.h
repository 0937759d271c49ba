// Takes a chunked body apart while it arrives. What the framing itself may cost is bounded; chunk
// extensions and trailers are checked and forgotten. Pure.
// https://www.rfc-editor.org/rfc/rfc9112#section-7.1
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "homeserver/base/values/result.h"

namespace polder::http {

class ChunkedDecoder {
 public:
  // Appends to `out` what `in` begins with of the body's content, until that is `max` bytes long;
  // gives how many bytes of `in` were used. kMalformed, and from then on always, if it is not
  // chunked or the framing is too large.
  Result<size_t> decode(std::string_view in, std::string& out, size_t max);
  bool done() const { return state_ == State::kDone; }

 private:
  enum class State : uint8_t { kSize, kExtension, kData, kDataEnd, kTrailer, kDone, kBroken };
  Result<size_t> broken(std::string reason);
  bool frame(char c);
  bool end_line(char c, State next);
  bool size_digit(char c);
  bool trailer(char c);

  State state_ = State::kSize;
  bool carriage_return_ = false;  // the byte before was one
  size_t digits_ = 0;             // of the chunk's size
  uint64_t left_ = 0;             // of the chunk
  size_t extensions_ = 0;         // bytes, of all chunks
  size_t trailers_ = 0;
  std::string line_;  // of the trailers
};

}  // namespace polder::http
