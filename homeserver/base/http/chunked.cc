#include "homeserver/base/http/chunked.h"

#include <algorithm>

#include "homeserver/base/http/limits.h"
#include "homeserver/base/http/request_head.h"

namespace polder::http {
namespace {

constexpr size_t kSizeDigitsMax = 15;  // so that no size overflows

std::optional<uint64_t> hex_digit(char c) {
  if (c >= '0' && c <= '9') return static_cast<uint64_t>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<uint64_t>(c - 'a' + 10);
  if (c >= 'A' && c <= 'F') return static_cast<uint64_t>(c - 'A' + 10);
  return std::nullopt;
}

}  // namespace

Result<size_t> ChunkedDecoder::broken(std::string reason) {
  state_ = State::kBroken;
  return fail(ErrorCode::kMalformed, std::move(reason));
}

Result<size_t> ChunkedDecoder::decode(std::string_view in, std::string& out, size_t max) {
  size_t used = 0;
  while (used < in.size() && !done()) {
    if (state_ == State::kData) {
      if (out.size() >= max) break;
      const size_t size = std::min<uint64_t>({left_, in.size() - used, max - out.size()});
      out.append(in.substr(used, size));
      used += size;
      left_ -= size;
      if (left_ == 0) state_ = State::kDataEnd;
    } else if (!frame(in[used++])) {
      return broken("a chunked body is malformed, or its framing too large");
    }
  }
  return used;
}

// Takes one byte that is not content.
bool ChunkedDecoder::frame(char c) {
  switch (state_) {
    case State::kSize:
      return size_digit(c);
    case State::kExtension:
      if (c != '\r' && c != '\n' && !carriage_return_) {
        const bool control = static_cast<unsigned char>(c) < 0x20 && c != '\t';
        return !control && ++extensions_ <= kChunkExtensionBytesMax;
      }
      return end_line(c, left_ > 0 ? State::kData : State::kTrailer);
    case State::kDataEnd:
      return end_line(c, State::kSize);
    case State::kTrailer:
      return trailer(c);
    default:
      return false;
  }
}

// CR, then LF, and then the next state.
bool ChunkedDecoder::end_line(char c, State next) {
  if (!carriage_return_) {
    carriage_return_ = true;
    return c == '\r';
  }
  carriage_return_ = false;
  digits_ = 0;
  state_ = next;
  return c == '\n';
}

bool ChunkedDecoder::size_digit(char c) {
  if (const auto digit = hex_digit(c)) {
    if (digits_ == 0) left_ = 0;
    left_ = left_ * 16 + *digit;
    return ++digits_ <= kSizeDigitsMax;
  }
  // Blanks before the extension are bad, but there are clients that send them.
  const bool ends = c == '\r' || c == ';' || c == ' ' || c == '\t';
  if (digits_ == 0 || !ends) return false;
  state_ = State::kExtension;
  return frame(c);
}

bool ChunkedDecoder::trailer(char c) {
  if (++trailers_ > kTrailerBytesMax) return false;
  if (c == '\n' || carriage_return_) {
    const bool empty = line_.empty();
    if (!empty && !parse_field(line_)) return false;
    line_.clear();
    return end_line(c, empty ? State::kDone : State::kTrailer);
  }
  if (c == '\r') return end_line(c, State::kTrailer);
  line_ += c;
  return true;
}

}  // namespace polder::http
