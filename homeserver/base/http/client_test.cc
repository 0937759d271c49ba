// The client against servers that are slow, or say nothing.
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <functional>
#include <thread>

#include "homeserver/base/http/client.h"
#include "homeserver/base/runtime/threads.h"

namespace polder::http {
namespace {

using boost::asio::ip::tcp;
constexpr size_t kBytes = 128 * 1024;

// Accepts one connection, and does with it what the test says.
class OneConnection {
 public:
  explicit OneConnection(std::function<void(tcp::socket&)> serve)
      : thread_([this, serve = std::move(serve)] {
          tcp::socket socket = acceptor_.accept();
          serve(socket);
        }) {}
  ~OneConnection() { thread_.join(); }
  uint16_t port() const { return acceptor_.local_endpoint().port(); }

 private:
  boost::asio::io_context context_;
  tcp::acceptor acceptor_{context_, {boost::asio::ip::make_address("127.0.0.1"), 0}};
  std::thread thread_;
};

// Until the other side closes.
void stay_silent(tcp::socket& socket) {
  char bytes[256];
  boost::system::error_code error;
  while (!error)
    socket.read_some(boost::asio::buffer(bytes), error);
}

// An answer of 128 KiB, in pieces of so many bytes with a pause after each.
void answer_slowly(tcp::socket& socket, size_t piece, int pause_ms) {
  boost::system::error_code error;
  const std::string head =
      "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(kBytes) + "\r\n\r\n";
  boost::asio::write(socket, boost::asio::buffer(head), error);
  for (size_t sent = 0; sent < kBytes && !error; sent += piece) {
    boost::asio::write(socket, boost::asio::buffer(std::string(piece, 'x')), error);
    std::this_thread::sleep_for(Millis(pause_ms));
  }
}

Task<void> send(Transport& transport, ClientRequest request, runtime::Threads& runtime,
                std::optional<Result<ClientResponse>>& response) {
  response.emplace(co_await transport.send(std::move(request)));
  runtime.stop();
}

Result<ClientResponse> ask(uint16_t port, bool tls) {
  base::SystemClock clock;
  base::SystemRandom random;
  base::NullLog log;
  auto runtime = runtime::Threads::create({}, clock, random, log);
  const auto transport = *make_transport(*runtime, {});
  ClientRequest request;
  request.address = "127.0.0.1";
  request.port = port;
  request.tls = tls;
  request.tls_name = "a.example";
  request.timeout = Millis(400);
  std::optional<Result<ClientResponse>> response;
  runtime::spawn(*runtime, runtime->shard(0), "test",
                 send(*transport, std::move(request), *runtime, response));
  runtime->run();
  return *std::move(response);
}

TEST(Client, TheHandshakeAndTheAnswerCountAgainstTheSameTime) {
  for (const bool tls : {false, true}) {
    OneConnection silent(stay_silent);
    const auto start = std::chrono::steady_clock::now();
    const auto response = ask(silent.port(), tls);
    EXPECT_EQ(response.error().code, ErrorCode::kTimeout) << tls;
    EXPECT_LT(std::chrono::steady_clock::now() - start, Millis(3000)) << tls;
  }
}

TEST(Client, WhatGoesOnComingMayTakeLonger) {
  OneConnection steady([](tcp::socket& socket) { answer_slowly(socket, 8192, 60); });
  const auto response = ask(steady.port(), false);
  ASSERT_TRUE(response.ok()) << response.error().message;
  EXPECT_EQ(response->body.size(), kBytes);
}

TEST(Client, WhatHardlyComesEnds) {
  OneConnection trickle([](tcp::socket& socket) { answer_slowly(socket, 64, 50); });
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(ask(trickle.port(), false).error().code, ErrorCode::kTimeout);
  EXPECT_LT(std::chrono::steady_clock::now() - start, Millis(3000));
}

}  // namespace
}  // namespace polder::http
