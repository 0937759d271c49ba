#include "homeserver/base/http/connection.h"

#include <future>
#include <thread>

#include "homeserver/base/runtime/threads.h"

namespace polder::http {
namespace {

// A peer that says what it was told to, and then ends. Notes what is done with the connection.
class Told final : public Stream {
 public:
  Told(std::vector<std::string> says, std::string& notes) : says_(std::move(says)), notes_(notes) {}
  Task<Status> readable() override {
    notes_ += "waits ";
    co_return Status();
  }
  Task<Result<size_t>> read_some(std::span<char> buffer) override {
    if (next_ == says_.size()) co_return size_t{0};
    notes_ += "reads ";
    const std::string& said = says_[next_++];
    co_return said.copy(buffer.data(), buffer.size());
  }
  Task<Status> write(std::vector<std::string_view>) override {
    notes_ += "answers ";
    co_return Status();
  }
  Task<void> shutdown() override { co_return; }
  void close() override {}

 private:
  const std::vector<std::string> says_;
  std::string& notes_;
  size_t next_ = 0;
};

Task<void> serve(std::shared_ptr<Connection> connection, std::promise<void>& ended) {
  co_await connection->serve();
  connection.reset();
  ended.set_value();
}

class ConnectionTest : public testing::Test {
 protected:
  ConnectionTest() {
    router_.add({.method = Method::kPost,
                 .path = "/echo",
                 .body_max = 1000,
                 .handler = [](Exchange& exchange) -> Task<Result<Response>> {
                   co_return Response::json(200, exchange.request.body);
                 }});
    listener_.resources.set();
  }

  // What was done with the connection.
  std::string serve_to(std::vector<std::string> says) {
    const auto runtime =
        runtime::Threads::create({.shards = 1, .pool_threads = 1}, clock_, random_, log_);
    const ConnectionContext context{*runtime, router_, timeouts_, bodies_, answers_, draining_};
    std::string notes;
    std::promise<void> ended;
    runtime::spawn(
        *runtime, runtime->shard(0), "connection",
        serve(std::make_shared<Connection>(std::make_unique<Told>(std::move(says), notes), context,
                                           listener_, "192.0.2.1"),
              ended));
    std::thread thread([&] { runtime->run(); });
    ended.get_future().wait();
    runtime->stop();
    thread.join();
    return notes;
  }

  base::SystemClock clock_;
  base::SystemRandom random_;
  base::NullLog log_;
  Router router_;
  const Timeouts timeouts_;
  HeldBytes bodies_{clock_, log_, "bodies", {}};
  HeldBytes answers_{clock_, log_, "answers", {}};
  const std::atomic<bool> draining_ = false;
  ListenerContext listener_;
};

// To wait without a buffer is what a connection does that has none.
TEST_F(ConnectionTest, HoldsNoBufferWhileNoRequestComes) {
  const auto post = [](const std::string& path) {
    return "POST " + path + " HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n";
  };
  const std::string whole = post("/echo") + "{ }";
  struct Case {
    std::vector<std::string> says;
    std::string done;
  };
  for (const Case& c : {Case{{}, "waits "}, Case{{whole}, "waits reads answers waits "},
                        Case{{"POST", whole.substr(4)}, "waits reads reads answers waits "},
                        Case{{whole + whole}, "waits reads answers answers waits "},
                        Case{{post("/echo"), "{ }"}, "waits reads reads answers waits "},
                        Case{{post("/none"), "{ }"}, "waits reads answers waits reads waits "}}) {
    EXPECT_EQ(serve_to(c.says), c.done);
  }
}

}  // namespace
}  // namespace polder::http
