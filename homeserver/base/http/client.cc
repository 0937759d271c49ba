#include "homeserver/base/http/client.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <deque>
#include <map>

#include "homeserver/base/http/limits.h"
#include "homeserver/base/http/tcp.h"
#include "homeserver/base/http/time_allowance.h"

namespace polder::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;
using Parser = beast::http::response_parser<beast::http::string_body>;

constexpr size_t kIdlePerHostMax = 4;
constexpr size_t kIdleMax = 256;
constexpr std::chrono::seconds kIdleTime{30};
constexpr size_t kPieceBytes = 64 * 1024;  // written at a time

struct Idle {
  std::unique_ptr<Stream> stream;
  std::chrono::nanoseconds since{0};
};

std::string pool_key(const ClientRequest& request) {
  return request.address + "|" + std::to_string(request.port) + "|" +
         (request.tls ? request.tls_name : "");
}

std::string serialize(const ClientRequest& request) {
  std::string text(to_string(request.method));
  text.append(" ")
      .append(request.target)
      .append(" HTTP/1.1\r\nHost: ")
      .append(request.host)
      .append("\r\n");
  for (const auto& [name, value] : request.headers) {
    if (value.find_first_of("\r\n") == std::string::npos)
      text.append(name).append(": ").append(value).append("\r\n");
  }
  if (!request.body.empty() || request.method == Method::kPost || request.method == Method::kPut) {
    text.append("Content-Length: ").append(std::to_string(request.body.size())).append("\r\n");
  }
  return text.append("\r\n");
}

// Whoever follows the request may end it as long as this lives.
class UnderWay {
 public:
  UnderWay(RequestProgress& progress, TimeAllowance& time) : progress_(progress) {
    progress.end = [&time] { time.end(); };
  }
  ~UnderWay() { progress_.end = {}; }
  UnderWay(const UnderWay&) = delete;
  UnderWay& operator=(const UnderWay&) = delete;

 private:
  RequestProgress& progress_;
};

class Client final : public Transport {
 public:
  Client(runtime::Runtime& runtime, TlsContext context)
      : runtime_(runtime), context_(std::move(context)), pools_(runtime.shard_count()) {}

  Task<Result<ClientResponse>> send(ClientRequest request) override {
    if (!request.progress) request.progress = std::make_shared<RequestProgress>();
    TimeAllowance time(runtime_, request.timeout, request.progress->moved);
    const UnderWay under_way(*request.progress, time);
    auto response = co_await send_in_time(request, time);
    if (!response.ok() && time.over()) co_return fail(ErrorCode::kTimeout, "no answer in time");
    co_return response;
  }

 private:
  using Pool = std::map<std::string, std::deque<Idle>>;

  Pool& pool() { return pools_[runtime_.current_shard()]; }

  Task<Result<ClientResponse>> send_in_time(const ClientRequest& request, TimeAllowance& time) {
    const std::string key = pool_key(request);
    if (auto kept = take(key)) {
      auto [response, sent_nothing_back] = co_await attempt(std::move(kept), request, key, time);
      // A kept connection may have ended meanwhile; then the request never reached anybody.
      if (response.ok() || !sent_nothing_back || time.over()) co_return std::move(response);
    }
    POLDER_CO_TRY(auto stream, co_await connect(request, time));
    auto [response, ignored] = co_await attempt(std::move(stream), request, key, time);
    co_return std::move(response);
  }

  std::unique_ptr<Stream> take(const std::string& key) {
    auto& idle = pool()[key];
    while (!idle.empty()) {
      Idle last = std::move(idle.back());
      idle.pop_back();
      if (runtime_.clock().steady() - last.since < kIdleTime) return std::move(last.stream);
      last.stream->close();
    }
    pool().erase(key);
    return nullptr;
  }

  void keep(const std::string& key, std::unique_ptr<Stream> stream) {
    if (pool().size() >= kIdleMax) pool().clear();
    auto& idle = pool()[key];
    idle.push_back({std::move(stream), runtime_.clock().steady()});
    if (idle.size() > kIdlePerHostMax) idle.pop_front();
  }

  Task<Result<std::unique_ptr<Stream>>> connect(const ClientRequest& request, TimeAllowance& time) {
    boost::system::error_code error;
    const auto address = asio::ip::make_address(request.address, error);
    if (error) co_return fail(ErrorCode::kInvalid, "not an IP address: " + request.address);
    time.within(kHandshakeTimeout);
    Socket socket(co_await asio::this_coro::executor);
    time.watch([&socket] {
      boost::system::error_code ignored;
      socket.close(ignored);
    });
    const auto [failed] = co_await socket.async_connect(tcp::endpoint(address, request.port),
                                                        asio::as_tuple(asio::use_awaitable));
    time.watch({});
    if (time.over()) co_return fail(ErrorCode::kTimeout, "connecting took too long");
    if (failed) co_return fail(ErrorCode::kUnavailable, "cannot connect: " + failed.message());
    boost::system::error_code ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    auto stream = request.tls ? make_tls_client(std::move(socket), context_, request.tls_name)
                              : make_stream(std::move(socket));
    time.watch([&stream] { stream->close(); });
    const Status agreed = co_await stream->handshake();
    time.watch({});
    time.step_done();
    POLDER_CO_CHECK(agreed);
    co_return std::move(stream);
  }

  Task<std::pair<Result<ClientResponse>, bool>> attempt(std::unique_ptr<Stream> stream,
                                                        const ClientRequest& request,
                                                        std::string key, TimeAllowance& time) {
    bool sent_nothing_back = true;
    bool reusable = false;
    time.watch([&stream] { stream->close(); });
    auto response = co_await exchange(*stream, request, sent_nothing_back, reusable);
    time.watch({});
    if (response.ok() && reusable && !time.over()) {
      keep(key, std::move(stream));
    } else {
      stream->close();
    }
    co_return std::pair(std::move(response), sent_nothing_back);
  }

  // In pieces, so that it is seen how far it has got.
  static Task<Status> write(Stream& stream, std::string_view bytes, RequestProgress& progress) {
    while (!bytes.empty()) {
      const std::string_view piece = bytes.substr(0, kPieceBytes);
      std::vector<std::string_view> one(1, piece);
      POLDER_CO_CHECK(co_await stream.write(std::move(one)));
      progress.moved += piece.size();
      bytes.remove_prefix(piece.size());
    }
    co_return Status();
  }

  static Task<Result<ClientResponse>> exchange(Stream& stream, const ClientRequest& request,
                                               bool& sent_nothing_back, bool& reusable) {
    RequestProgress& progress = *request.progress;
    std::string head = serialize(request);
    // What fits one piece goes in one.
    const std::string_view with_head =
        std::string_view(request.body).substr(0, kPieceBytes - std::min(head.size(), kPieceBytes));
    head.append(with_head);
    POLDER_CO_CHECK(co_await write(stream, head, progress));
    POLDER_CO_CHECK(
        co_await write(stream, std::string_view(request.body).substr(with_head.size()), progress));
    Parser parser;
    parser.header_limit(kHeadBytesMax);
    parser.body_limit(request.body_max);
    if (request.method == Method::kHead) parser.skip(true);
    parser.eager(true);
    if (request.sink) request.sink->begin();
    beast::flat_buffer buffer;
    while (!parser.is_done()) {
      const auto space = buffer.prepare(kReadBytes);
      POLDER_CO_TRY(const size_t size,
                    co_await stream.read_some({static_cast<char*>(space.data()), space.size()}));
      beast::error_code error;
      if (size == 0) {
        // The parser takes an end for granted only after a beginning.
        if (!parser.got_some())
          co_return fail(ErrorCode::kUnavailable, "the connection ended before a response");
        parser.put_eof(error);
        if (error || !parser.is_done())
          co_return fail(ErrorCode::kUnavailable, "the connection ended within a response");
        break;
      }
      sent_nothing_back = false;
      buffer.commit(size);
      progress.moved += size;
      POLDER_CO_CHECK(progress.hold(size));
      const size_t used = parser.put(buffer.data(), error);
      buffer.consume(used);
      if (error == beast::http::error::need_more) continue;
      if (error == beast::http::error::body_limit)
        co_return fail(ErrorCode::kTooLarge, "the response is too large");
      if (error) co_return fail(ErrorCode::kMalformed, "bad response: " + error.message());
      POLDER_CO_CHECK(co_await hand_over(parser, request));
    }
    reusable = parser.keep_alive() && buffer.size() == 0;
    ClientResponse response;
    response.status = static_cast<int>(parser.get().result_int());
    for (const auto& field : parser.get()) {
      response.headers.add({field.name_string().data(), field.name_string().size()},
                           {field.value().data(), field.value().size()});
    }
    response.body = std::move(parser.get().body());
    response.held = request.progress;
    co_return response;
  }

  // What has come of the body.
  static Task<Status> hand_over(Parser& parser, const ClientRequest& request) {
    const bool wanted =
        request.sink && parser.is_header_done() && parser.get().result_int() / 100 == 2;
    if (!wanted || parser.get().body().empty()) co_return Status();
    co_return co_await request.sink->take(std::exchange(parser.get().body(), {}));
  }

  runtime::Runtime& runtime_;
  TlsContext context_;
  std::vector<Pool> pools_;  // each touched on its shard only
};

}  // namespace

Result<std::unique_ptr<Transport>> make_transport(runtime::Runtime& runtime,
                                                  const std::vector<std::string>& extra_ca_files) {
  POLDER_TRY(TlsContext context, client_context(extra_ca_files));
  return std::unique_ptr<Transport>(std::make_unique<Client>(runtime, std::move(context)));
}

}  // namespace polder::http
