// Peers that are slow, greedy or many.
#include "homeserver/base/http/testing/server.h"

namespace polder::http {
namespace {

class TimeoutsTest : public HttpTest {
 protected:
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
};

TEST_F(TimeoutsTest, ARefusalDoesNotWaitForTheBody) {
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

TEST_F(TimeoutsTest, WhoIsTooSlowIsClosed) {
  ServerLimits limits;
  limits.timeouts.head = Millis(300);
  limits.timeouts.idle = Millis(400);
  limits.timeouts.pause = Millis(300);
  limits.timeouts.linger = Millis(10);
  limits.timeouts.linger_all = Millis(10);
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

TEST_F(TimeoutsTest, SlowBodiesAreTakenThatKeepTheLeastRate) {
  ServerLimits limits;
  limits.timeouts.pause = Millis(400);
  limits.timeouts.bytes_per_second = 100;
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

TEST_F(TimeoutsTest, AnswersThatNobodyReadsCountForWhoAsked) {
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

TEST_F(TimeoutsTest, ConnectionsOfOneAddressAreBounded) {
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

}  // namespace
}  // namespace polder::http
