// A server on loopback, with routes of many kinds, and raw connections to it: for tests.
#pragma once

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <thread>

#include "homeserver/base/http/rate_limits.h"
#include "homeserver/base/http/server.h"
#include "homeserver/base/runtime/threads.h"

namespace polder::http {

inline Task<Result<Response>> echo(Exchange& exchange) {
  std::string text = exchange.request.body;
  for (const auto& [name, value] : exchange.request.path_parameters)
    text.append("|").append(name).append("=").append(value);
  for (const auto& [name, value] : exchange.request.query)
    text.append("|?").append(name).append("=").append(value);
  co_return Response::json(200, text);
}

class Counting final : public BodySource {
 public:
  explicit Counting(int count) : left_(count) {}
  Task<Result<std::optional<std::string>>> next() override {
    if (left_-- <= 0) co_return std::optional<std::string>();
    co_return std::optional<std::string>("piece;");
  }

 private:
  int left_;
};

inline Task<Result<Response>> streamed(Exchange&) {
  Response response = Response::json(200, "first;");
  response.stream = std::make_unique<Counting>(3);
  co_return response;
}

// More than the operating system's buffers take.
inline Task<Result<Response>> large(Exchange&) {
  static const auto kText = std::make_shared<const std::string>(size_t{16} << 20, 'x');
  std::vector<Slice> body(1, slice(kText));
  co_return Response::json(200, std::move(body));
}

inline Task<Result<Response>> unchanged(Exchange&) {
  Response response;
  response.status = 304;
  response.headers.add("ETag", "x");
  co_return response;
}

inline Task<Result<Response>> from(Exchange& exchange) {
  co_return Response::json(200, exchange.request.remote_address);
}

// Refuses some without a look at the body.
inline Task<std::optional<Response>> before(Exchange& exchange) {
  if (exchange.request.path.starts_with("/refused")) co_return limited(Millis(1));
  co_return std::nullopt;
}

// What Server::drain() is, for HttpTest::run().
inline Task<bool> drained(Server& server) {
  co_await server.drain(Millis(2000));
  co_return true;
}

class HttpTest : public testing::Test {
 protected:
  HttpTest() {
    router_.add(
        {.method = Method::kPost, .path = "/echo/{word}", .body_max = 1000, .handler = echo});
    router_.add(
        {.method = Method::kPost, .path = "/refused/{word}", .body_max = 1000, .handler = echo});
    router_.add({.method = Method::kGet, .path = "/echo/{word}", .handler = echo});
    router_.add({.method = Method::kGet, .path = "/from", .handler = from});
    router_.add({.method = Method::kGet, .path = "/echo/literal", .handler = echo});
    router_.add({.method = Method::kGet, .path = "/a/{x}/c", .handler = echo});
    router_.add({.method = Method::kGet, .path = "/a/b/d", .handler = echo});
    router_.add({.method = Method::kGet, .path = "/stream", .handler = streamed});
    router_.add({.method = Method::kGet, .path = "/unchanged", .handler = unchanged});
    router_.add({.method = Method::kGet, .path = "/large", .handler = large});
    router_.add(
        {.method = Method::kGet, .path = "/_matrix/federation/v1/version", .handler = echo});
    router_.add({.method = Method::kPost, .path = "/_synapse/admin/v1/register", .handler = echo});
    router_.set_before(before);
    runtime_ = runtime::Threads::create({.shards = 2, .pool_threads = 1}, clock_, random_, log_);
    server_ = std::make_unique<Server>(*runtime_, router_);
    listen();
    thread_ = std::thread([this] { runtime_->run(); });
  }
  void listen() {
    Resources resources;
    resources.set(static_cast<size_t>(Resource::kClient));
    port_ = *server_->listen({.bind = "127.0.0.1", .port = 0, .resources = resources});
  }
  // From now on the server has these limits.
  void limit(const ServerLimits& limits) {
    run<bool>([this] { return drained(*server_); });
    server_ = std::make_unique<Server>(*runtime_, router_, limits);
    listen();
  }
  ~HttpTest() override {
    if (runtime_) end();
  }
  void end() {
    runtime_->stop();
    thread_.join();
    server_.reset();
    runtime_.reset();
  }

  boost::asio::ip::tcp::socket connect() {
    boost::asio::ip::tcp::socket socket(context_);
    socket.connect({boost::asio::ip::make_address("127.0.0.1"), port_});
    return socket;
  }
  // Until the server closes.
  static std::string rest_of(boost::asio::ip::tcp::socket& socket) {
    std::string answer;
    boost::system::error_code error;
    boost::asio::read(socket, boost::asio::dynamic_buffer(answer), error);
    return answer;
  }
  // Sends bytes, and returns all that comes until the server closes.
  std::string raw(std::string bytes) {
    auto socket = connect();
    boost::system::error_code error;
    boost::asio::write(socket, boost::asio::buffer(bytes), error);
    socket.shutdown(boost::asio::ip::tcp::socket::shutdown_send, error);
    return rest_of(socket);
  }
  int status(const std::string& bytes) {
    const std::string answer = raw(bytes);
    return answer.size() > 12 ? std::stoi(answer.substr(9, 3)) : 0;
  }

  template <class T>
  T run(std::function<Task<T>()> make) {
    std::optional<T> result;
    std::atomic<bool> done = false;
    runtime::spawn(*runtime_, runtime_->shard(0), "test",
                   [](std::function<Task<T>()> body, std::optional<T>& out,
                      std::atomic<bool>& flag) -> Task<void> {
                     out.emplace(co_await body());
                     flag = true;
                     flag.notify_all();
                   }(std::move(make), result, done));
    done.wait(false);
    return std::move(*result);
  }

  boost::asio::io_context context_;
  base::SystemClock clock_;
  base::SystemRandom random_;
  base::NullLog log_;
  Router router_;
  std::unique_ptr<runtime::Threads> runtime_;
  std::unique_ptr<Server> server_;
  uint16_t port_ = 0;
  std::thread thread_;
};

}  // namespace polder::http
