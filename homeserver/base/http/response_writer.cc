#include "homeserver/base/http/response_writer.h"

#include <boost/beast/http/status.hpp>
#include <charconv>
#include <ctime>

namespace polder::http {
namespace {

// RFC 9110, sections 15.3.5 and 15.4.5.
bool has_body(int status) {
  return status != 204 && status != 304;
}

// RFC 9110, section 5.6.7.
std::string date(int64_t wall_ms) {
  const time_t seconds = wall_ms / 1000;
  tm parts{};
  gmtime_r(&seconds, &parts);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts)};
}

std::string chunk_head(size_t size) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof digits, size, 16).ptr;
  return std::string(digits, end) + "\r\n";
}

// The first bytes of what is left of the pieces from `next` on, in as many parts as they are.
std::vector<std::string_view> take_group(std::vector<std::string_view>& pieces, size_t& next) {
  std::vector<std::string_view> group;
  for (size_t room = kWriteBytes; room > 0 && next < pieces.size();) {
    std::string_view& piece = pieces[next];
    const std::string_view part = piece.substr(0, room);
    if (!part.empty()) group.push_back(part);
    room -= part.size();
    piece.remove_prefix(part.size());
    if (piece.empty()) ++next;
  }
  return group;
}

}  // namespace

std::string ResponseWriter::head_of(const Response& response, bool keep_alive,
                                    std::optional<uint64_t> length) const {
  std::string head = "HTTP/1.1 " + std::to_string(response.status) + " ";
  const auto reason =
      boost::beast::http::obsolete_reason(static_cast<boost::beast::http::status>(response.status));
  head.append(reason.data(), reason.size()).append("\r\n");
  // RFC 9110, section 6.6.1.
  head.append("Date: ").append(date(runtime_.clock().wall_ms())).append("\r\n");
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

Task<Status> ResponseWriter::write(const Response& response, Writing how) {
  std::optional<uint64_t> length = response.slices_length();
  if (response.stream) {
    length =
        response.stream_length ? std::optional(*length + *response.stream_length) : std::nullopt;
  }
  const bool chunked = !length && how.may_chunk;
  const bool keep_alive = how.keep_alive && (length || chunked);
  std::string head = head_of(response, keep_alive, length);
  const bool with_body = !how.head_only && has_body(response.status);
  if (!chunked && !length && with_body) {
    // To HTTP/1.0, the end of the connection is the end of the body.
    constexpr std::string_view kChunked = "Transfer-Encoding: chunked\r\n";
    head.erase(head.find(kChunked), kChunked.size());
  }
  const std::string first_chunk =
      chunked && response.slices_length() > 0 ? chunk_head(response.slices_length()) : "";
  std::vector<std::string_view> pieces = {head};
  if (with_body) {
    if (!first_chunk.empty()) pieces.push_back(first_chunk);
    for (const Slice& slice : response.body)
      pieces.push_back(slice.bytes);
    if (!first_chunk.empty()) pieces.push_back("\r\n");
  }
  POLDER_CO_CHECK(co_await write_pieces(std::move(pieces)));
  if (!with_body || !response.stream) co_return Status();
  co_return co_await write_stream(*response.stream, chunked);
}

Task<Status> ResponseWriter::write_pieces(std::vector<std::string_view> pieces) {
  for (size_t next = 0; next < pieces.size();) {
    std::vector<std::string_view> group = take_group(pieces, next);
    size_t size = 0;
    for (const std::string_view part : group)
      size += part.size();
    const auto before = runtime_.clock().steady();
    deadline_.set(pace_.timeout(size));
    POLDER_CO_CHECK(co_await stream_.write(std::move(group)));
    deadline_.stop();
    pace_.moved(runtime_.clock().steady() - before, size);
    held_.progress();
  }
  co_return Status();
}

Task<Status> ResponseWriter::write_stream(BodySource& source, bool chunked) {
  for (;;) {
    POLDER_CO_TRY(const auto piece, co_await source.next());
    if (!piece) break;
    if (!held_.hold(piece->size()))
      co_return fail(ErrorCode::kRateLimited, "too many answers wait to be read");
    const std::string head = chunked ? chunk_head(piece->size()) : "";
    std::vector<std::string_view> pieces = {head, *piece, chunked ? "\r\n" : ""};
    POLDER_CO_CHECK(co_await write_pieces(std::move(pieces)));
    held_.release(piece->size());
  }
  if (!chunked) co_return Status();
  std::vector<std::string_view> last(1, "0\r\n\r\n");
  co_return co_await write_pieces(std::move(last));
}

}  // namespace polder::http
