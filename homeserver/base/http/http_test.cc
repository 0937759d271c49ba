#include <netinet/tcp.h>

#include "homeserver/base/http/client.h"
#include "homeserver/base/http/errors.h"
#include "homeserver/base/http/testing/server.h"

namespace polder::http {
namespace {

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

// A request that waits for the test, or until its client is gone.
class WaitingTest : public HttpTest {
 protected:
  WaitingTest() {
    router_.add({.method = Method::kGet, .path = "/wait", .handler = [this](Exchange& exchange) {
                   return wait(exchange);
                 }});
  }
  Task<Result<Response>> wait(Exchange& exchange) {
    waits_ = true;
    while (!ends_ && !exchange.client_ended())
      co_await runtime::sleep_for(*runtime_, Millis(1));
    gone_ = exchange.client_ended();
    co_return Response::json(200, "waited");
  }
  boost::asio::ip::tcp::socket ask() {
    auto socket = connect();
    const std::string request = "GET /wait HTTP/1.1\r\nHost: h\r\n\r\n";
    boost::asio::write(socket, boost::asio::buffer(request));
    EXPECT_TRUE(soon([this] { return waits_.load(); }));
    return socket;
  }
  static bool soon(const std::function<bool()>& done) {
    for (int i = 0; i < 4000 && !done(); ++i)
      std::this_thread::sleep_for(Millis(5));
    return done();
  }

  std::atomic<bool> waits_ = false;
  std::atomic<bool> ends_ = false;
  std::atomic<bool> gone_ = false;
};

TEST_F(WaitingTest, AClientThatHasEndedItsOwnSideIsWaitedFor) {
  auto socket = ask();
  socket.shutdown(boost::asio::ip::tcp::socket::shutdown_send);
  ASSERT_TRUE(soon([&] {  // the other side's kernel knows it
    tcp_info info{};
    socklen_t size = sizeof info;
    getsockopt(socket.native_handle(), IPPROTO_TCP, TCP_INFO, &info, &size);
    return info.tcpi_state == TCP_FIN_WAIT2;
  }));
  ends_ = true;
  const std::string answer = rest_of(socket);
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 ")) << answer;
  EXPECT_TRUE(answer.ends_with("waited")) << answer;
  EXPECT_FALSE(gone_);
}

TEST_F(WaitingTest, AClientWhoseConnectionBrokeIsNotWaitedFor) {
  auto socket = ask();
  socket.set_option(boost::asio::socket_base::linger(true, 0));
  socket.close();
  EXPECT_TRUE(soon([this] { return gone_.load(); }));
  ends_ = true;
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
