#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <thread>

#include "homeserver/base/http/client.h"
#include "homeserver/base/http/errors.h"
#include "homeserver/base/http/server.h"
#include "homeserver/base/runtime/threads.h"

namespace polder::http {
namespace {

Task<Response> echo(Exchange& exchange) {
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

Task<Response> streamed(Exchange&) {
  Response response = Response::json(200, "first;");
  response.stream = std::make_unique<Counting>(3);
  co_return response;
}

// More than the operating system's buffers take.
Task<Response> large(Exchange&) {
  static const auto kText = std::make_shared<const std::string>(size_t{16} << 20, 'x');
  std::vector<Slice> body(1, slice(kText));
  co_return Response::json(200, std::move(body));
}

Task<Response> unchanged(Exchange&) {
  Response response;
  response.status = 304;
  response.headers.add("ETag", "x");
  co_return response;
}

Task<Response> from(Exchange& exchange) {
  co_return Response::json(200, exchange.request.remote_address);
}

// Refuses some without a look at the body.
Task<Response> around(Exchange& exchange, const Handler& next) {
  if (exchange.request.path.starts_with("/refused")) co_return limited(Millis(1));
  co_return co_await next(exchange);
}

// A server on loopback and raw connections to it.
Task<bool> drained(Server& server) {
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
    router_.set_around(around);
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
  // Sends a piece again and again until the server has closed, for how long that is.
  Millis lasts(std::string first, std::string again, Millis pause) {
    auto socket = connect();
    const auto begun = clock_.steady();
    boost::system::error_code error;
    boost::asio::write(socket, boost::asio::buffer(first), error);
    for (int i = 0; i < 1000 && !error; ++i) {
      std::this_thread::sleep_for(pause);
      boost::asio::write(socket, boost::asio::buffer(again), error);
    }
    EXPECT_TRUE(error);
    return std::chrono::duration_cast<Millis>(clock_.steady() - begun);
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

TEST_F(HttpTest, AnswersAndKeepsTheConnection) {
  const std::string answer =
      raw("GET /echo/a%20b?x=1&y=a+b HTTP/1.1\r\nHost: h\r\n\r\n"
          "POST /echo/z HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody"
          "GET /echo/literal HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_NE(answer.find("|word=a b|?x=1|?y=a b"), std::string::npos) << answer;
  EXPECT_NE(answer.find("body|word=z"), std::string::npos) << answer;
  EXPECT_NE(answer.find("Connection: close"), std::string::npos) << answer;
  EXPECT_NE(answer.find("Access-Control-Allow-Origin: *"), std::string::npos) << answer;
}

TEST_F(HttpTest, ChunkedBodiesBothWays) {
  const std::string answer =
      raw("POST /echo/z HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: "
          "chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
          "GET /stream HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_NE(answer.find("abcde|word=z"), std::string::npos) << answer;
  EXPECT_NE(answer.find("6\r\nfirst;\r\n6\r\npiece;\r\n6\r\npiece;\r\n6\r\npiece;\r\n0\r\n\r\n"),
            std::string::npos)
      << answer;
}

TEST_F(HttpTest, AnAnswerWithoutBodySaysNoLength) {
  const std::string answer =
      raw("GET /unchanged HTTP/1.1\r\nHost: h\r\n\r\n"
          "GET /echo/z HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  const size_t end = answer.find("\r\n\r\n");
  EXPECT_EQ(answer.substr(0, end).find("Content-Length"), std::string::npos) << answer;
  EXPECT_EQ(answer.substr(end + 4, 8), "HTTP/1.1") << answer;
}

TEST_F(HttpTest, AnAnswerBeforeTheBodyIsReadKeepsTheConnection) {
  const std::string refused = "HTTP/1.1 429 ";
  const auto post = [](size_t size, const std::string& more) {
    return "POST /refused/x HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(size) +
           "\r\n" + more + "\r\n";
  };
  const std::string after = "GET /echo/z HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
  const std::string small = raw(post(1000, "") + std::string(1000, 'x') + after);
  EXPECT_TRUE(small.starts_with(refused)) << small;
  EXPECT_NE(small.find("|word=z"), std::string::npos) << small;
  // What is large is not taken: the answer arrives, and the connection ends.
  const std::string large = raw(post(1'000'000, "") + std::string(1'000'000, 'x') + after);
  EXPECT_TRUE(large.starts_with(refused)) << large;
  EXPECT_NE(large.find("Connection: close"), std::string::npos) << large;
  EXPECT_EQ(large.find("|word=z"), std::string::npos) << large;
  // Who asks whether to send it is not asked for it.
  const std::string asking = raw(post(1000, "Expect: 100-continue\r\n"));
  EXPECT_TRUE(asking.starts_with(refused)) << asking;
}

TEST_F(HttpTest, OnlyATrustedProxyTellsOfOthers) {
  const std::string asking =
      "GET /from HTTP/1.1\r\nHost: h\r\nx-forwarded-for: 192.0.2.1\r\nConnection: "
      "close\r\n\r\n";
  EXPECT_NE(raw(asking).find("\r\n\r\n127.0.0.1"), std::string::npos);
  ListenerOptions proxied;
  proxied.bind = "127.0.0.1";
  proxied.resources.set(static_cast<size_t>(Resource::kClient));
  proxied.trusted_proxies.push_back(*IpRange::parse("127.0.0.0/8"));
  port_ = *server_->listen(proxied);
  EXPECT_NE(raw(asking).find("\r\n\r\n192.0.2.1"), std::string::npos);
}

TEST(Errors, HaveTheErrcodeOfTheirKindUnlessOneIsNamed) {
  const auto text = [](const Error& error) {
    const Response response = to_response(error);
    return std::to_string(response.status) + std::string(response.body.at(0).bytes);
  };
  EXPECT_EQ(text(fail(ErrorCode::kTooLarge, "big")),
            R"(413{"errcode":"M_TOO_LARGE","error":"big"})");
  EXPECT_EQ(text(fail(ErrorCode::kTimeout, "M_NOT_YET_UPLOADED", "wait")),
            R"(504{"errcode":"M_NOT_YET_UPLOADED","error":"wait"})");
  EXPECT_EQ(text(fail(ErrorCode::kBadType, "a must be a string")),
            R"(400{"errcode":"M_BAD_JSON","error":"a must be a string"})");
  EXPECT_EQ(text(with_details(fail(ErrorCode::kUnsupported, "old"), {{"room_version", "0"}})),
            R"(400{"errcode":"M_UNSUPPORTED_ROOM_VERSION","error":"old","room_version":"0"})");
  EXPECT_EQ(text(fail(ErrorCode::kCorrupt, "a secret")),
            R"(500{"errcode":"M_UNKNOWN","error":"Internal server error"})");
}

TEST_F(HttpTest, RefusesWhatIsMalformed) {
  const std::string host = "Host: h\r\n";
  const std::vector<std::pair<std::string, int>> cases = {
      {"GET /echo/x HTTP/1.1\r\n\r\n", 400},
      {"GET /echo/x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
      {"GET echo HTTP/1.1\r\n" + host + "\r\n", 400},
      {"rubbish\r\n\r\n", 400},
      {"GET /echo/x HTTP/9.9\r\n" + host + "\r\n", 505},
      {"GET /echo/x HTTP/1.1\r\n" + host + "bad header\r\n\r\n", 400},
      {"POST /echo/x HTTP/1.1\r\n" + host +
           "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
       400},
      {"POST /echo/x HTTP/1.1\r\n" + host + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
       400},
      {"POST /echo/x HTTP/1.1\r\n" + host + "Content-Length: -1\r\n\r\n", 400},
      {"POST /echo/x HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
      {"POST /echo/x HTTP/1.1\r\n" + host + "Content-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx",
       415},
      {"POST /echo/x HTTP/1.1\r\n" + host + "Content-Length: 1001\r\n\r\n" + std::string(1001, 'x'),
       413},
      {"GET /echo/x HTTP/1.1\r\n" + host + "X: " + std::string(70'000, 'x') + "\r\n\r\n", 431},
      {"GET /" + std::string(20'000, 'x') + " HTTP/1.1\r\n" + host + "\r\n", 414},
      {"GET /echo/%zz HTTP/1.1\r\n" + host + "\r\n", 400},
      {"GET /echo/%ff HTTP/1.1\r\n" + host + "\r\n", 400},
      {"GET /echo/x?a=%z HTTP/1.1\r\n" + host + "\r\n", 400},
      {"GET /nothing HTTP/1.1\r\n" + host + "\r\n", 404},
      {"GET /_matrix/federation/v1/version HTTP/1.1\r\n" + host + "\r\n", 404},
      {"POST /_synapse/admin/v1/register HTTP/1.1\r\n" + host + "\r\n", 404},
      {"GET /echo/ HTTP/1.1\r\n" + host + "\r\n", 404},
      {"DELETE /echo/x HTTP/1.1\r\n" + host + "\r\n", 405},
      {"OPTIONS /anything HTTP/1.1\r\n" + host + "\r\n", 204},
      {"HEAD /echo/x HTTP/1.1\r\n" + host + "\r\n", 200},
      {"GET /a/b/c HTTP/1.1\r\n" + host + "\r\n", 200},
      {"GET /a/b/d HTTP/1.1\r\n" + host + "\r\n", 200},
  };
  for (const auto& [bytes, expected] : cases)
    EXPECT_EQ(status(bytes), expected) << bytes.substr(0, 100);
}

TEST_F(HttpTest, AnswersSayWhatTheyMustSay) {
  const std::string answer = raw("DELETE /echo/x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_NE(answer.find("\r\nAllow: OPTIONS, GET, HEAD, POST\r\n"), std::string::npos) << answer;
  EXPECT_NE(answer.find(" GMT\r\n"), std::string::npos) << answer;
  const std::string old = raw("GET /stream HTTP/1.0\r\n\r\n");
  EXPECT_NE(old.find("\r\nConnection: close\r\n\r\nfirst;piece;"), std::string::npos) << old;
  EXPECT_EQ(old.find("chunked"), std::string::npos) << old;
}

// What follows a request whose end is not certain is not read as another.
TEST_F(HttpTest, NothingIsReadBehindWhatIsMalformed) {
  const std::string after = "GET /echo/z HTTP/1.1\r\nHost: h\r\n\r\n";
  const std::string post = "POST /echo/x HTTP/1.1\r\nHost: h\r\n";
  for (const std::string& bytes :
       {post + "Transfer-Encoding: xchunked\r\n\r\n", post + "Transfer-Encoding: gzip\r\n\r\n",
        post + "Transfer-Encoding: chunked, identity\r\n\r\n",
        post + "Transfer-Encoding: chunked\r\n\r\n1;" + std::string(100'000, 'x') + "\r\n",
        post + "Transfer-Encoding: chunked\r\n\r\n0\r\nrubbish\r\n\r\n",
        post + "X: a\r\n folded\r\n\r\n"}) {
    const std::string answer = raw(bytes + after);
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 400 ")) << answer;
    EXPECT_NE(answer.find("\r\nConnection: close\r\n"), std::string::npos) << answer;
    EXPECT_EQ(answer.find("|word=z"), std::string::npos) << answer;
  }
}

TEST_F(HttpTest, ARefusalDoesNotWaitForTheBody) {
  const std::string length = "Content-Length: 5000000\r\n";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"POST /refused/x HTTP/1.1\r\nHost: h\r\n" + length, "429"},
      {"POST /echo/x HTTP/1.1\r\nHost: h\r\n" + length, "413"},
      {"POST /nothing HTTP/1.1\r\nHost: h\r\n" + length, "404"},
      {"PUT /echo/x HTTP/1.1\r\nHost: h\r\n" + length, "405"},
      {"POST /refused/x HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n", "429"},
      {"POST /refused/x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n", "429"},
  };
  for (const auto& [head, status] : cases) {
    auto socket = connect();
    const std::string bytes = head + "\r\n";
    boost::asio::write(socket, boost::asio::buffer(bytes));
    std::array<char, 12> begin{};
    const auto asked = clock_.steady();
    boost::asio::read(socket, boost::asio::buffer(begin));
    EXPECT_LT(clock_.steady() - asked, std::chrono::seconds(5));
    EXPECT_EQ(std::string(begin.data(), begin.size()), "HTTP/1.1 " + status) << head;
  }
}

TEST_F(HttpTest, WhoIsTooSlowIsClosed) {
  ServerLimits limits;
  limits.patience.head = Millis(300);
  limits.patience.idle = Millis(400);
  limits.patience.pause = Millis(300);
  limits.patience.linger = Millis(10);
  limits.patience.linger_all = Millis(10);
  limit(limits);
  const Millis step(20);
  EXPECT_LT(lasts("GET / HTTP/1.1\r\nX: ", "x", step), Millis(5'000)) << "a head";
  EXPECT_LT(lasts("", "\r\n", Millis(100)), Millis(5'000)) << "empty lines";
  EXPECT_LT(lasts("GET /echo/x HTTP/1.1\r\nHost: h\r\n\r\n", "\r\n", Millis(100)), Millis(5'000))
      << "empty lines, between requests";
  EXPECT_LT(lasts("GET /echo/x HTTP/1.1\r\nHost: h\r\n\r\nG", "E", step), Millis(5'000))
      << "a second head";
  EXPECT_LT(lasts("POST /echo/x HTTP/1.1\r\nHost: h\r\nContent-Length: 900\r\n\r\n", "x", step),
            Millis(5'000))
      << "a body";
  auto silent = connect();
  EXPECT_EQ(rest_of(silent), "");
}

TEST_F(HttpTest, SlowBodiesAreTakenThatKeepTheLeastRate) {
  ServerLimits limits;
  limits.patience.pause = Millis(400);
  limits.patience.bytes_per_second = 100;
  limit(limits);
  auto socket = connect();
  const std::string head =
      "POST /echo/x HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 200\r\n\r\n";
  boost::asio::write(socket, boost::asio::buffer(head));
  const std::string piece(20, 'x');
  for (int i = 0; i < 10; ++i) {
    std::this_thread::sleep_for(Millis(100));
    boost::asio::write(socket, boost::asio::buffer(piece));
  }
  EXPECT_TRUE(rest_of(socket).starts_with("HTTP/1.1 200 "));
}

TEST_F(HttpTest, AnswersThatNobodyReadsCountForWhoAsked) {
  ServerLimits limits;
  limits.answers = {uint64_t{64} << 20, uint64_t{40} << 20};
  limit(limits);
  const std::string request = "GET /large HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
  std::vector<boost::asio::ip::tcp::socket> sockets;
  size_t refused = 0;
  for (int i = 0; i < 8; ++i) {
    sockets.push_back(connect());
    boost::asio::write(sockets.back(), boost::asio::buffer(request));
    std::array<char, 12> begin{};
    boost::asio::read(sockets.back(), boost::asio::buffer(begin));
    refused += std::string_view(begin.data(), begin.size()) == "HTTP/1.1 429" ? 1 : 0;
  }
  EXPECT_EQ(refused, 6u);
  EXPECT_EQ(server_->answers_held(), uint64_t{32} << 20);
  EXPECT_EQ(rest_of(sockets.front()).size() >> 20, 16u) << "who reads gets all of it";
}

TEST_F(HttpTest, ConnectionsOfOneAddressAreBounded) {
  ServerLimits limits;
  limits.connections.address = 2;
  limit(limits);
  const std::string request = "GET /echo/x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
  auto first = connect();
  auto second = connect();
  for (int i = 0; i < 1000 && server_->connections() < 2; ++i)
    std::this_thread::sleep_for(Millis(5));
  EXPECT_EQ(raw(request), "");
  first.close();
  std::string answer;
  for (int i = 0; i < 1000 && answer.empty(); ++i) {
    std::this_thread::sleep_for(Millis(5));
    answer = raw(request);
  }
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 ")) << answer;
}

TEST_F(HttpTest, TheClientTalksToTheServer) {
  const auto transport = make_transport(*runtime_, {});
  ASSERT_TRUE(transport.ok());
  for (int i = 0; i < 3; ++i) {
    const auto response = run<Result<ClientResponse>>([&] {
      ClientRequest request;
      request.address = "127.0.0.1";
      request.port = port_;
      request.tls = false;
      request.host = "h";
      request.method = Method::kPost;
      request.target = "/echo/x";
      request.body = "hello";
      return (*transport)->send(std::move(request));
    });
    ASSERT_TRUE(response.ok()) << response.error().message;
    EXPECT_EQ(response->status, 200);
    EXPECT_EQ(response->body, "hello|word=x");
  }
  EXPECT_EQ(server_->connections(), 1u);
}

// What a server that is killed leaves behind: a connection that ends, wherever.
TEST_F(HttpTest, AConnectionThatEndsEarlyIsUnavailable) {
  for (const std::string_view sent :
       {"", "HTTP/1.1 200", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"}) {
    boost::asio::io_context context;
    boost::asio::ip::tcp::acceptor acceptor(context,
                                            {boost::asio::ip::make_address("127.0.0.1"), 0});
    std::thread ending([&] {
      auto socket = acceptor.accept();
      std::string request;
      boost::system::error_code error;
      while (request.find("\r\n\r\n") == std::string::npos && !error) {
        char bytes[256];
        const size_t size = socket.read_some(boost::asio::buffer(bytes), error);
        request.append(bytes, size);
      }
      boost::asio::write(socket, boost::asio::buffer(sent), error);
    });
    const auto transport = *make_transport(*runtime_, {});
    const auto response = run<Result<ClientResponse>>([&] {
      ClientRequest request;
      request.address = "127.0.0.1";
      request.port = acceptor.local_endpoint().port();
      request.tls = false;
      return transport->send(request);
    });
    ending.join();
    ASSERT_FALSE(response.ok()) << sent;
    EXPECT_EQ(response.error().code, ErrorCode::kUnavailable) << sent;
  }
}

TEST_F(HttpTest, TheClientLimitsWhatItTakes) {
  const auto transport = make_transport(*runtime_, {});
  ClientRequest request;
  request.address = "127.0.0.1";
  request.port = port_;
  request.tls = false;
  request.host = "h";
  request.target = "/stream";
  request.body_max = 10;
  const auto large = run<Result<ClientResponse>>([&] { return (*transport)->send(request); });
  EXPECT_EQ(large.error().code, ErrorCode::kTooLarge);
  request.port = 1;
  const auto refused = run<Result<ClientResponse>>([&] { return (*transport)->send(request); });
  EXPECT_EQ(refused.error().code, ErrorCode::kUnavailable);
}

class Collecting final : public BodySink {
 public:
  void begin() override { text.clear(); }
  Task<Status> take(std::string piece) override {
    if (refuses) co_return fail(ErrorCode::kInvalid, "enough");
    text += piece;
    co_return Status();
  }
  std::string text;
  bool refuses = false;
};

TEST_F(HttpTest, ABodyThatSucceedsGoesToItsSink) {
  const auto transport = make_transport(*runtime_, {});
  const auto sink = std::make_shared<Collecting>();
  ClientRequest request;
  request.address = "127.0.0.1";
  request.port = port_;
  request.tls = false;
  request.host = "h";
  request.target = "/stream";
  request.sink = sink;
  for (int i = 0; i < 2; ++i) {
    const auto response = run<Result<ClientResponse>>([&] { return (*transport)->send(request); });
    ASSERT_TRUE(response.ok()) << response.error().message;
    EXPECT_EQ(response->body, "");
    EXPECT_EQ(sink->text, "first;piece;piece;piece;");
  }
  request.target = "/nothing";
  const auto refused = run<Result<ClientResponse>>([&] { return (*transport)->send(request); });
  EXPECT_EQ(refused->status, 404);
  EXPECT_NE(refused->body, "");
  EXPECT_EQ(sink->text, "");
  sink->refuses = true;
  request.target = "/stream";
  const auto ended = run<Result<ClientResponse>>([&] { return (*transport)->send(request); });
  EXPECT_EQ(ended.error().message, "enough");
  sink->refuses = false;
  request.body_max = 10;
  const auto large = run<Result<ClientResponse>>([&] { return (*transport)->send(request); });
  EXPECT_EQ(large.error().code, ErrorCode::kTooLarge);
}

// Each connection belongs to one shard, and dies with it.
TEST_F(HttpTest, AnEndWithOpenConnectionsIsClean) {
  boost::asio::io_context context;
  std::vector<boost::asio::ip::tcp::socket> sockets;
  for (size_t i = 0; i < 16; ++i) {
    sockets.emplace_back(context).connect({boost::asio::ip::make_address("127.0.0.1"), port_});
    const std::string request = "GET /echo/x HTTP/1.1\r\nHost: h\r\n\r\n";
    boost::asio::write(sockets.back(), boost::asio::buffer(request));
    char first = 0;
    boost::asio::read(sockets.back(), boost::asio::buffer(&first, 1));
  }
  EXPECT_EQ(server_->connections(), sockets.size());
  end();
}

TEST_F(HttpTest, DrainingEndsIdleConnections) {
  boost::asio::io_context context;
  boost::asio::ip::tcp::socket socket(context);
  socket.connect({boost::asio::ip::make_address("127.0.0.1"), port_});
  run<bool>([this] { return drained(*server_); });
  EXPECT_EQ(server_->connections(), 0u);
}

}  // namespace
}  // namespace polder::http
