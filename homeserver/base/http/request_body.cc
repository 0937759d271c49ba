#include "homeserver/base/http/request_body.h"

namespace polder::http {

Task<Result<bool>> Input::fill(Millis timeout, size_t max) {
  buffer_.erase(0, std::exchange(used_, 0));
  deadline_.set(timeout);
  if (buffer_.capacity() == std::string().capacity()) {
    const Status readable = co_await stream_.readable();
    if (!readable.ok()) {
      deadline_.stop();
      co_return readable.error();
    }
  }
  const size_t before = buffer_.size();
  buffer_.resize(before + max);
  auto size = co_await stream_.read_some(std::span(buffer_).subspan(before));
  deadline_.stop();
  buffer_.resize(before + (size.ok() ? *size : 0));
  if (!size.ok()) co_return std::move(size).error();
  co_return *size > 0;
}

Task<Status> Input::say(std::string text, Millis timeout) {
  deadline_.set(timeout);
  std::vector<std::string_view> pieces(1, text);
  auto said = co_await stream_.write(std::move(pieces));
  deadline_.stop();
  co_return said;
}

void Input::give_back() {
  if (!bytes().empty()) return;
  std::string().swap(buffer_);  // an assignment would keep its memory
  used_ = 0;
}

RequestBody::RequestBody(const RequestHead& head, const Exchange& exchange, Input& input,
                         const Timeouts& timeouts,
                         std::function<std::unique_ptr<HeldBytes::Share>()> held)
    : input_(input),
      exchange_(exchange),
      make_share_(std::move(held)),
      pace_(timeouts.pause, timeouts.bytes_per_second),
      framing_(head.framing),
      left_(head.length),
      expects_continue_(head.expects_continue) {}

bool RequestBody::done() const {
  return framing_ == Framing::kChunked ? chunks_.done() : left_ == 0;
}

bool RequestBody::worth_skipping() {
  // Of chunks it is not known how many there will be: those that are here already are taken.
  for (std::string piece; framing_ == Framing::kChunked && !done(); piece.clear()) {
    if (input_.bytes().empty() || !take(piece).ok()) return false;
  }
  return done() || (left_ <= kSkippedBytesMax && !expects_continue_);
}

Task<bool> RequestBody::skip() {
  while (!done()) {
    const auto piece = co_await read_piece();
    if (!piece.ok()) co_return false;
  }
  co_return true;
}

Task<Result<std::optional<std::string>>> RequestBody::next() {
  if (std::exchange(expects_continue_, false) && !done())
    POLDER_CO_CHECK(co_await input_.say("HTTP/1.1 100 Continue\r\n\r\n", pace_.timeout()));
  POLDER_CO_TRY(std::string piece, co_await read_piece());
  if (exchange_.route != nullptr && exchange_.route->body != Body::kStream && !piece.empty()) {
    if (!held_) held_ = make_share_();
    if (!held_->hold(piece.size()))
      co_return fail(ErrorCode::kRateLimited, "Too much is sent at once");
  }
  if (held_ && done()) held_->settle();
  if (piece.empty()) co_return std::optional<std::string>();
  co_return std::optional(std::move(piece));
}

// The next of its content; empty at the end.
Task<Result<std::string>> RequestBody::read_piece() {
  std::string piece;
  for (;;) {
    POLDER_CO_CHECK(take(piece));
    if (!piece.empty() || done()) co_return piece;
    const auto before = input_.clock().steady();
    const size_t known = input_.bytes().size();
    POLDER_CO_TRY(const bool more, co_await input_.fill(pace_.timeout(), kReadBytes));
    if (!more) co_return fail(ErrorCode::kUnavailable, "the connection ended within a body");
    pace_.moved(input_.clock().steady() - before, input_.bytes().size() - known);
  }
}

// Moves what has come of the content into the piece.
Status RequestBody::take(std::string& piece) {
  const std::string_view bytes = input_.bytes();
  if (framing_ == Framing::kChunked) {
    POLDER_TRY(const size_t used, chunks_.decode(bytes, piece, kReadBytes));
    input_.consume(used);
    return {};
  }
  const size_t size = std::min<uint64_t>({left_, bytes.size(), kReadBytes});
  piece = bytes.substr(0, size);
  left_ -= size;
  input_.consume(size);
  return {};
}

Task<void> linger(Input& input, const Timeouts& timeouts) {
  const auto end = input.clock().steady() + timeouts.linger_all;
  for (size_t read = input.bytes().size(); read < kLingerBytesMax;) {
    input.consume(input.bytes().size());
    const auto left = std::chrono::ceil<Millis>(end - input.clock().steady());
    if (left <= Millis(0)) co_return;
    const auto more = co_await input.fill(std::min(timeouts.linger, left), kReadBytes);
    if (!more.ok() || !*more) co_return;
    read += input.bytes().size();
  }
}

}  // namespace polder::http
