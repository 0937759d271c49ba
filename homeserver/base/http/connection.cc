#include "homeserver/base/http/connection.h"

#include <algorithm>
#include <atomic>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/status.hpp>
#include <charconv>

#include "homeserver/base/http/client_address.h"
#include "homeserver/base/http/limits.h"

namespace polder::http {
namespace {

namespace beast = boost::beast;
using Parser = beast::http::request_parser<beast::http::buffer_body>;

// The bytes of one connection that were read and not yet used.
class Input {
 public:
  Input(Stream& stream, Deadline& deadline) : stream_(stream), deadline_(deadline) {}

  // Reads more, up to a size; false at the end of the connection.
  Task<Result<bool>> fill(Millis timeout, size_t max) {
    deadline_.set(std::min(timeout, patience_));
    const auto space = buffer_.prepare(max);
    auto size = co_await stream_.read_some({static_cast<char*>(space.data()), space.size()});
    deadline_.stop();
    if (!size.ok()) co_return std::move(size).error();
    buffer_.commit(*size);
    co_return *size > 0;
  }
  beast::flat_buffer& buffer() { return buffer_; }
  // While a request is answered there may be nothing to hold, for minutes and on many connections.
  void give_back() {
    if (buffer_.size() == 0) buffer_.shrink_to_fit();
  }
  // From now on no wait is longer.
  void lose_patience() { patience_ = kLingerTimeout; }

 private:
  Millis patience_ = Millis::max();
  Stream& stream_;
  Deadline& deadline_;
  beast::flat_buffer buffer_;
};

// The body of the request whose head was parsed.
class RequestBody final : public BodySource {
 public:
  RequestBody(Parser& parser, Input& input, Stream& stream, bool expects_continue)
      : parser_(parser), input_(input), stream_(stream), expects_continue_(expects_continue) {}

  // Whether the client waits to be asked for it.
  bool awaits_consent() const { return expects_continue_; }

  // Takes what nobody read off the connection, up to a size.
  Task<void> skip(size_t max) {
    expects_continue_ = false;
    for (size_t skipped = 0; skipped < max;) {
      const auto piece = co_await next();
      if (!piece.ok() || !*piece) co_return;
      skipped += (*piece)->size();
    }
  }

  Task<Result<std::optional<std::string>>> next() override {
    if (std::exchange(expects_continue_, false)) {
      std::vector<std::string_view> interim(1, "HTTP/1.1 100 Continue\r\n\r\n");
      POLDER_CO_CHECK(co_await stream_.write(std::move(interim)));
    }
    while (!parser_.is_done()) {
      std::string piece(kReadBytes, '\0');
      parser_.get().body().data = piece.data();
      parser_.get().body().size = piece.size();
      beast::error_code error;
      const size_t used =
          input_.buffer().size() > 0 ? parser_.put(input_.buffer().data(), error) : 0;
      input_.buffer().consume(used);
      if (error && error != beast::http::error::need_buffer &&
          error != beast::http::error::need_more) {
        co_return fail(ErrorCode::kMalformed, "bad request body: " + error.message());
      }
      piece.resize(piece.size() - parser_.get().body().size);
      if (!piece.empty()) co_return std::optional(std::move(piece));
      if (parser_.is_done()) break;
      if (used > 0 && input_.buffer().size() > 0) continue;
      POLDER_CO_TRY(const bool more, co_await input_.fill(kBodyPieceTimeout, kReadBytes));
      if (!more) co_return fail(ErrorCode::kUnavailable, "the connection ended within a body");
    }
    co_return std::optional<std::string>();
  }

 private:
  Parser& parser_;
  Input& input_;
  Stream& stream_;
  bool expects_continue_;
};

// What HTTP libraries let pass and a homeserver does not: ambiguous framing is how requests are
// smuggled.
Result<Request> to_request(const Parser& parser) {
  const auto& head = parser.get();
  Request request;
  request.method = method_from({head.method_string().data(), head.method_string().size()});
  const std::string_view target(head.target().data(), head.target().size());
  if (target.size() > kTargetBytesMax)
    return fail(ErrorCode::kTooLarge, "the request target is too long");
  if (!target.starts_with('/') && !(target == "*" && request.method == Method::kOptions)) {
    return fail(ErrorCode::kMalformed, "the request target is no path");
  }
  for (const auto& field : head) {
    request.headers.add({field.name_string().data(), field.name_string().size()},
                        {field.value().data(), field.value().size()});
  }
  if (request.headers.size() > kHeaderFieldsMax)
    return fail(ErrorCode::kTooLarge, "too many header fields");
  if (request.headers.count("Content-Length") + request.headers.count("Transfer-Encoding") > 1) {
    return fail(ErrorCode::kMalformed, "ambiguous length of the body");
  }
  if (head.version() >= 11 && request.headers.count("Host") != 1)
    return fail(ErrorCode::kMalformed, "one Host header is needed");
  POLDER_CHECK(parse_target(target, request));
  return request;
}

Response refusal(const Error& error) {
  switch (error.code) {
    case ErrorCode::kTooLarge:
      return error_response(431, "M_TOO_LARGE", error.message);
    case ErrorCode::kUnsupported:
      return error_response(415, "M_UNKNOWN", error.message);
    default:
      return error_response(400, "M_UNKNOWN", error.message);
  }
}

// RFC 9110, sections 15.3.5 and 15.4.5.
bool has_body(int status) {
  return status != 204 && status != 304;
}

std::string head_of(const Response& response, bool keep_alive, std::optional<uint64_t> length) {
  std::string head = "HTTP/1.1 " + std::to_string(response.status) + " ";
  const auto reason =
      beast::http::obsolete_reason(static_cast<beast::http::status>(response.status));
  head.append(reason.data(), reason.size()).append("\r\n");
  for (const auto& [name, value] : response.headers) {
    // A value with a line break would be another header: such a response is a bug, and is not sent
    // so.
    if (value.find_first_of("\r\n") == std::string::npos)
      head.append(name).append(": ").append(value).append("\r\n");
  }
  if (has_body(response.status)) {
    head += length ? "Content-Length: " + std::to_string(*length) + "\r\n"
                   : "Transfer-Encoding: chunked\r\n";
  }
  if (!keep_alive) head += "Connection: close\r\n";
  return head.append("\r\n");
}

std::string chunk_head(size_t size) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof digits, size, 16).ptr;
  return std::string(digits, end) + "\r\n";
}

Task<Status> write_stream(Stream& stream, Deadline& deadline, BodySource& source, bool chunked) {
  for (;;) {
    POLDER_CO_TRY(const auto piece, co_await source.next());
    if (!piece) break;
    deadline.set(kWriteTimeout);
    const std::string head = chunked ? chunk_head(piece->size()) : "";
    std::vector<std::string_view> pieces = {head, *piece, chunked ? "\r\n" : ""};
    POLDER_CO_CHECK(co_await stream.write(std::move(pieces)));
  }
  if (!chunked) co_return Status();
  std::vector<std::string_view> last(1, "0\r\n\r\n");
  co_return co_await stream.write(std::move(last));
}

}  // namespace

Task<Status> write_response(Stream& stream, Deadline& deadline, Response response, bool head_only,
                            bool keep_alive, bool chunked_allowed) {
  deadline.set(kWriteTimeout);
  std::optional<uint64_t> length = response.slices_length();
  if (response.stream) {
    length =
        response.stream_length ? std::optional(*length + *response.stream_length) : std::nullopt;
  }
  const bool chunked = !length && chunked_allowed;
  const std::string head = head_of(response, keep_alive && (length || chunked), length);
  const std::string first_chunk =
      chunked && response.slices_length() > 0 ? chunk_head(response.slices_length()) : "";
  std::vector<std::string_view> pieces = {head};
  if (!head_only && has_body(response.status)) {
    if (!first_chunk.empty()) pieces.push_back(first_chunk);
    for (const Slice& slice : response.body)
      pieces.push_back(slice.bytes);
    if (!first_chunk.empty()) pieces.push_back("\r\n");
  }
  POLDER_CO_CHECK(co_await stream.write(std::move(pieces)));
  if (head_only || !response.stream) co_return Status();
  co_return co_await write_stream(stream, deadline, *response.stream, chunked);
}

Task<void> serve(Stream& stream, const ConnectionContext& context, bool& busy) {
  Deadline deadline(context.runtime, stream);
  Input input(stream, deadline);
  for (bool first = true; !context.draining; first = false) {
    Parser parser;
    parser.header_limit(kHeadBytesMax);
    parser.body_limit(boost::none);  // each route has its own
    beast::error_code error;
    while (!parser.is_header_done()) {
      const size_t used = input.buffer().size() > 0 ? parser.put(input.buffer().data(), error) : 0;
      input.buffer().consume(used);
      if (error == beast::http::error::need_more) error = {};
      if (error || parser.is_header_done()) break;
      const bool started = parser.got_some();
      const auto more =
          co_await input.fill(started || first ? kHeadTimeout : kIdleTimeout, kHeadReadBytes);
      if (!more.ok() || !*more) co_return;
    }
    busy = true;
    const bool keep_alive = !error && parser.keep_alive() && !context.draining;
    auto request = error ? Result<Request>(fail(error == beast::http::error::header_limit
                                                    ? ErrorCode::kTooLarge
                                                    : ErrorCode::kMalformed,
                                                "bad request: " + error.message()))
                         : to_request(parser);
    if (request.ok() && !request->headers.find("Content-Encoding").empty()) {
      request = fail(ErrorCode::kUnsupported, "encoded request bodies are not taken");
    }
    if (!request.ok()) {
      // The connection ends either way.
      static_cast<void>(
          co_await write_response(stream, deadline, refusal(request.error()), false, false, false));
      co_return;
    }
    const bool is_head = request->method == Method::kHead;
    const bool http11 = parser.get().version() >= 11;
    Exchange exchange;
    exchange.request = *std::move(request);
    exchange.served = context.resources;
    exchange.request.remote_address =
        client_address(context.peer, exchange.request.headers, context.trusted_proxies);
    RequestBody body(parser, input, stream,
                     exchange.request.headers.find("Expect") == "100-continue");
    exchange.request.body_stream = &body;
    input.give_back();
    Response response = co_await context.router.handle(exchange);
    // What nobody read of a small body must not cost the client its connection.
    if (!body.awaits_consent()) co_await body.skip(kSkippedBytesMax);
    const bool body_read = parser.is_done();
    const bool stay = keep_alive && body_read && !response.close;
    const Status written =
        co_await write_response(stream, deadline, std::move(response), is_head, stay, http11);
    deadline.stop();
    busy = false;
    if (written.ok() && !body_read) {
      // To close while bytes are unread would reset the connection, and the answer might be lost.
      input.lose_patience();
      co_await body.skip(kLingerBytesMax);
    }
    if (!written.ok() || !stay) co_return;
  }
}

}  // namespace polder::http
