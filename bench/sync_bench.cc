// How long after a commit the /sync requests that wait for it are answered.
#include <atomic>

#include "bench/support/local_server.h"
#include "homeserver/base/json/write.h"

namespace polder::sync {
namespace {

using bench::LocalServer;
using bench::must;

constexpr Millis kTimeToSettle{2};  // until every request waits

// A talker and listeners in one room, over the client-server API.
class Conversation {
 public:
  explicit Conversation(size_t listeners)
      : server_([this](kv::Position) { committed_ = clock_.steady().count(); }) {
    server_.run(open(listeners));
  }

  size_t listeners() const { return listeners_.size(); }

  // Says something that all listeners wait for; gives how long after the commit the last of them
  // had their answer.
  std::chrono::nanoseconds say() {
    std::vector<std::future<std::chrono::nanoseconds>> answers;
    for (Listener& listener : listeners_)
      answers.push_back(server_.start(listen(listener), 1));
    server_.run(talk());
    std::chrono::nanoseconds last{0};
    for (auto& answer : answers)
      last = std::max(last, answer.get());
    return last - std::chrono::nanoseconds(committed_);
  }

  const std::string& heard() const { return heard_; }

 private:
  struct Listener {
    std::string token, since;
  };

  static std::string text(const json::Object& answer, std::string_view key) {
    return *answer.find_string(key);
  }

  Task<std::string> join_token(std::string name) {
    const std::string body =
        R"({"username":")" + name + R"(","password":"a password","auth":{"type":"m.login.dummy"}})";
    co_return text(co_await server_.request("POST", "/_matrix/client/v3/register", "", body),
                   "access_token");
  }

  Task<bool> open(size_t listeners) {
    talker_ = co_await join_token("talker");
    room_ = text(co_await server_.request("POST", "/_matrix/client/v3/createRoom", talker_,
                                          R"({"preset":"public_chat"})"),
                 "room_id");
    for (size_t i = 0; i < listeners; ++i) {
      Listener listener;
      listener.token = co_await join_token("listener" + std::to_string(i));
      co_await server_.request("POST", "/_matrix/client/v3/join/" + base::percent_encode(room_),
                               listener.token, "{}");
      listeners_.push_back(std::move(listener));
    }
    for (Listener& listener : listeners_) {
      listener.since =
          text(co_await server_.request("GET", "/_matrix/client/v3/sync", listener.token, ""),
               "next_batch");
    }
    co_return true;
  }

  Task<bool> talk() {
    co_await runtime::sleep_for(server_.runtime(), kTimeToSettle);
    co_await server_.request("PUT",
                             "/_matrix/client/v3/rooms/" + base::percent_encode(room_) +
                                 "/send/m.room.message/" + std::to_string(++said_),
                             talker_, R"({"msgtype":"m.text","body":"listen"})");
    co_return true;
  }

  // Gives when the answer was there.
  Task<std::chrono::nanoseconds> listen(Listener& listener) {
    const json::Object answer = co_await server_.request(
        "GET", "/_matrix/client/v3/sync?timeout=30000&since=" + listener.since, listener.token, "");
    const auto now = clock_.steady();
    listener.since = text(answer, "next_batch");
    const json::Value* events = json::at(answer, {"rooms", "join", room_, "timeline", "events"});
    if (events == nullptr || events->as_array()->size() != 1)
      bench::give_up(fail(ErrorCode::kInternal, "not the message: " + json::write(answer)));
    heard_ = json::write(*events->as_array()->at(0).as_object()->find_object("content"));
    co_return now;
  }

  const base::SystemClock clock_;
  std::atomic<int64_t> committed_ = 0;
  LocalServer server_;
  std::string talker_, room_;
  std::vector<Listener> listeners_;
  std::string heard_;
  uint64_t said_ = 0;
};

using Conversations = std::map<size_t, std::unique_ptr<Conversation>>;

void wake_up(benchmark::State& state, const std::shared_ptr<Conversations>& conversations) {
  const auto listeners = static_cast<size_t>(state.range(0));
  auto& conversation = (*conversations)[listeners];
  if (!conversation) conversation = std::make_unique<Conversation>(listeners);
  bench::Latencies latencies;
  for (benchmark::IterationCount i = 0; i < state.max_iterations; ++i)
    latencies.add(conversation->say());
  latencies.report(state);
  bench::set_result(state, conversation->heard());
}

}  // namespace

void add_benchmarks(const bench::Options& options) {
  const auto conversations = std::make_shared<Conversations>();
  auto* added = benchmark::RegisterBenchmark("sync/wake_up", wake_up, conversations);
  added->ArgName("waiting")->Arg(1)->Arg(options.smoke ? 2 : 100);
  added->UseManualTime()->Unit(benchmark::kMicrosecond)->Iterations(options.smoke ? 3 : 50);
}

}  // namespace polder::sync

int main(int argc, char** argv) {
  return polder::bench::run(argc, argv, polder::sync::add_benchmarks);
}
