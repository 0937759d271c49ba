#include <ares.h>
#include <arpa/inet.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <deque>
#include <map>
#include <thread>

#include "homeserver/base/egress/address.h"
#include "homeserver/base/egress/dns_message.h"
#include "homeserver/base/egress/resolver.h"
#include "homeserver/base/values/mutex.h"

namespace polder::egress {
namespace {

constexpr int kTryMs = 2500;
constexpr int kTries = 3;
constexpr size_t kPendingMax = 4096;
constexpr size_t kAddressesMax = 16;
constexpr int kInternet = 1;  // DNS class and type numbers (RFC 1035, RFC 2782)
constexpr int kSrv = 33;

Error failed(int status, const std::string& name) {
  const bool none = status == ARES_ENOTFOUND || status == ARES_ENODATA || status == ARES_EBADNAME;
  return fail(none ? ErrorCode::kNotFound : ErrorCode::kUnavailable,
              "DNS: " + name + ": " + ares_strerror(status));
}

// A question that waits for its answer; resume() may be called from any thread.
template <class T>
struct Question {
  std::string name;
  std::optional<Result<T>> answer;
  std::function<void()> resume;

  void give(Result<T> result) {
    answer.emplace(std::move(result));
    resume();
  }
};
template <class T>
using QuestionPtr = std::shared_ptr<Question<T>>;

class SystemResolver final : public Resolver {
 public:
  ~SystemResolver() override {
    stop();
    if (channel_ != nullptr) ares_destroy(channel_);
    if (event_ >= 0) ::close(event_);
    if (initialized_) ares_library_cleanup();
  }

  void stop() override {
    {
      const base::Lock lock(mutex_);
      stopping_ = true;
    }
    wake();
    if (thread_.joinable()) thread_.join();
  }

  Status start() {
    if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS)
      return fail(ErrorCode::kIo, "c-ares does not start");
    initialized_ = true;
    ares_options options{};
    options.timeout = kTryMs;
    options.tries = kTries;
    char lookups[] = "fb";  // the hosts file, then name servers
    options.lookups = lookups;
    // Names are taken as they are: a search list would lead others' names into the own network.
    options.domains = nullptr;
    options.ndomains = 0;
    options.sock_state_cb = &SystemResolver::socket_changed;
    options.sock_state_cb_data = this;
    const int status = ares_init_options(&channel_, &options,
                                         ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_DOMAINS |
                                             ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB);
    if (status != ARES_SUCCESS)
      return fail(ErrorCode::kIo, std::string("DNS: ") + ares_strerror(status));
    event_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (event_ < 0) return fail(ErrorCode::kIo, "no eventfd");
    thread_ = std::thread([this] { run(); });
    return {};
  }

  Task<Result<Addresses>> addresses(std::string host) override {
    if (is_address(host)) co_return Addresses{{std::move(host)}, std::chrono::hours(1)};
    co_return co_await ask<Addresses>(std::move(host), &SystemResolver::look_up_addresses);
  }
  Task<Result<Services>> services(std::string name) override {
    co_return co_await ask<Services>(std::move(name), &SystemResolver::look_up_services);
  }

 private:
  template <class T>
  Task<Result<T>> ask(std::string name, void (SystemResolver::*look_up)(QuestionPtr<T>)) {
    auto question = std::make_shared<Question<T>>();
    question->name = std::move(name);
    auto start = [this, question, look_up](std::function<void()> resume) {
      question->resume = std::move(resume);
      if (!enqueue([this, question, look_up] { (this->*look_up)(question); }))
        question->give(fail(ErrorCode::kRateLimited, "too many DNS look-ups"));
    };
    co_await runtime::internal::suspend(std::move(start));
    co_return *std::move(question->answer);
  }

  bool enqueue(std::function<void()> work) {
    {
      const base::Lock lock(mutex_);
      if (stopping_ || queue_.size() >= kPendingMax) return false;
      queue_.push_back(std::move(work));
    }
    wake();
    return true;
  }

  void wake() const {
    const uint64_t one = 1;
    if (event_ >= 0) [[maybe_unused]]
      const auto ignored = ::write(event_, &one, sizeof one);
  }

  // --- On the resolver's thread ---

  void run() {
    pthread_setname_np(pthread_self(), "dns");
    for (;;) {
      std::deque<std::function<void()>> work;
      {
        const base::Lock lock(mutex_);
        if (stopping_) return;
        work.swap(queue_);
      }
      for (const auto& look_up : work)
        look_up();
      wait();
    }
  }

  void wait() {
    std::vector<pollfd> polled = {{event_, POLLIN, 0}};
    for (const auto& [socket, events] : sockets_)
      polled.push_back({socket, events, 0});
    timeval longest{60, 0};
    timeval next{};
    const timeval* until = ares_timeout(channel_, &longest, &next);
    const auto wait_ms = until->tv_sec * 1000 + until->tv_usec / 1000 + 1;
    ::poll(polled.data(), polled.size(), static_cast<int>(wait_ms));
    uint64_t ignored = 0;
    [[maybe_unused]] const auto size = ::read(event_, &ignored, sizeof ignored);
    for (size_t i = 1; i < polled.size(); ++i) {
      const short got = polled[i].revents;
      if (got == 0) continue;
      const bool readable = (got & (POLLIN | POLLERR | POLLHUP)) != 0;
      ares_process_fd(channel_, readable ? polled[i].fd : ARES_SOCKET_BAD,
                      (got & POLLOUT) != 0 ? polled[i].fd : ARES_SOCKET_BAD);
    }
    ares_process_fd(channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);  // time-outs
  }

  static void socket_changed(void* self, ares_socket_t socket, int readable, int writable) {
    auto& sockets = static_cast<SystemResolver*>(self)->sockets_;
    if (readable == 0 && writable == 0) {
      sockets.erase(socket);
    } else {
      sockets[socket] =
          static_cast<short>((readable != 0 ? POLLIN : 0) | (writable != 0 ? POLLOUT : 0));
    }
  }

  void look_up_addresses(QuestionPtr<Addresses> question) {
    ares_addrinfo_hints hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    const std::string name = question->name;
    ares_getaddrinfo(channel_, name.c_str(), nullptr, &hints, &SystemResolver::got_addresses,
                     new QuestionPtr<Addresses>(std::move(question)));
  }

  static void got_addresses(void* argument, int status, int, ares_addrinfo* info) {
    const std::unique_ptr<QuestionPtr<Addresses>> owner(
        static_cast<QuestionPtr<Addresses>*>(argument));
    if (status == ARES_EDESTRUCTION) return;  // the runtime may be gone
    Question<Addresses>& question = **owner;
    Addresses found;
    found.ttl = std::chrono::hours(1);
    for (auto* node = info != nullptr ? info->nodes : nullptr;
         node != nullptr && found.addresses.size() < kAddressesMax; node = node->ai_next) {
      const void* bytes = nullptr;
      if (node->ai_family == AF_INET)
        bytes = &reinterpret_cast<const sockaddr_in*>(node->ai_addr)->sin_addr;
      if (node->ai_family == AF_INET6)
        bytes = &reinterpret_cast<const sockaddr_in6*>(node->ai_addr)->sin6_addr;
      char text[INET6_ADDRSTRLEN] = {};
      if (bytes == nullptr || inet_ntop(node->ai_family, bytes, text, sizeof text) == nullptr)
        continue;
      found.addresses.emplace_back(text);
      found.ttl = std::min(found.ttl, std::chrono::seconds(std::max(node->ai_ttl, 0)));
    }
    if (info != nullptr) ares_freeaddrinfo(info);
    if (status != ARES_SUCCESS) return question.give(failed(status, question.name));
    if (found.addresses.empty()) return question.give(failed(ARES_ENODATA, question.name));
    question.give(std::move(found));
  }

  void look_up_services(QuestionPtr<Services> question) {
    const std::string name = question->name;
    ares_query(channel_, name.c_str(), kInternet, kSrv, &SystemResolver::got_services,
               new QuestionPtr<Services>(std::move(question)));
  }

  static void got_services(void* argument, int status, int, unsigned char* message, int size) {
    const std::unique_ptr<QuestionPtr<Services>> owner(
        static_cast<QuestionPtr<Services>*>(argument));
    if (status == ARES_EDESTRUCTION) return;
    Question<Services>& question = **owner;
    if (status != ARES_SUCCESS) return question.give(failed(status, question.name));
    question.give(parse_services({message, static_cast<size_t>(size)}));
  }

  base::Mutex mutex_;
  std::deque<std::function<void()>> queue_ GUARDED_BY(mutex_);
  bool stopping_ GUARDED_BY(mutex_) = false;
  bool initialized_ = false;
  ares_channel channel_ = nullptr;  // the thread's
  std::map<ares_socket_t, short> sockets_;
  int event_ = -1;
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<Resolver>> make_system_resolver() {
  auto resolver = std::make_unique<SystemResolver>();
  POLDER_CHECK(resolver->start());
  return std::unique_ptr<Resolver>(std::move(resolver));
}

}  // namespace polder::egress
