#include "homeserver/base/http/server.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <list>

#include "homeserver/base/http/connection.h"
#include "homeserver/base/http/connection_limiter.h"
#include "homeserver/base/http/held_bytes.h"
#include "homeserver/base/http/limits.h"
#include "homeserver/base/http/tcp.h"
#include "homeserver/base/values/mutex.h"

namespace polder::http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
constexpr Millis kDrainStep{10};
constexpr Millis kAcceptPause{100};  // after a failure such as too many open files

struct Listener : ListenerContext {
  std::string certificate, key;  // files; empty: no TLS

  TlsContext tls() const {
    const base::Lock lock(mutex);
    return context;
  }
  void set_tls(TlsContext now) {
    const base::Lock lock(mutex);
    context = std::move(now);
  }

  mutable base::Mutex mutex;
  TlsContext context GUARDED_BY(mutex);

  bool trusts(const IpAddress& address) const {
    return std::ranges::any_of(trusted_proxies,
                               [&](const IpRange& range) { return range.contains(address); });
  }
};

IpAddress address_of(const Socket& socket) {
  boost::system::error_code ignored;
  const auto peer = socket.remote_endpoint(ignored);
  const auto address = ignored ? std::nullopt : IpAddress::parse(peer.address().to_string());
  return address ? address->unmapped() : IpAddress();
}

}  // namespace

struct Server::Impl : std::enable_shared_from_this<Server::Impl> {
  Impl(runtime::Runtime& r, const Router& table, const ServerLimits& l)
      : runtime(r),
        router(table),
        limits(l),
        limiter(r.clock(), r.log(), "connections_refused", l.connections),
        handshakes(r.clock(), r.log(), "handshakes_refused", l.handshakes),
        bodies(r.clock(), r.log(), "bodies_refused", l.bodies),
        answers(r.clock(), r.log(), "answers_refused", l.answers),
        shards(r.shard_count()) {}

  // A TLS handshake under way; without a slot once it had to make way.
  struct Handshake {
    Handshake(Stream* of, ConnectionLimiter::Slot&& taken) : stream(of), slot(std::move(taken)) {}
    Stream* stream;
    std::optional<ConnectionLimiter::Slot> slot;
  };
  // Touched only on its shard. Owned by the tasks, which die with their shard's context: whoever
  // owned them here would keep sockets of a context that is gone.
  struct Shard {
    std::list<std::weak_ptr<tcp::acceptor>> acceptors;
    std::list<std::weak_ptr<Connection>> connections;
    std::list<Handshake> handshakes;  // oldest first
  };

  runtime::Runtime& runtime;
  const Router& router;
  const ServerLimits limits;
  ConnectionLimiter limiter;
  ConnectionLimiter handshakes;  // TLS
  HeldBytes bodies;
  HeldBytes answers;
  std::vector<Shard> shards;
  std::atomic<bool> draining = false;
  const ConnectionContext context{runtime, router, limits.timeouts, bodies, answers, draining};
  std::atomic<size_t> open_streams = 0;  // beyond any handshake
  size_t listeners = 0;
  std::vector<std::shared_ptr<Listener>> tls_listeners;

  // Keeps the server alive, as connections do: it ends when its acceptor is closed.
  static Task<void> accept(std::shared_ptr<Impl> self, size_t shard,
                           std::shared_ptr<tcp::acceptor> acceptor,
                           std::shared_ptr<const Listener> listener) {
    runtime::Runtime& runtime = self->runtime;
    self->shards[shard].acceptors.push_back(acceptor);
    while (!self->draining) {
      auto [error, socket] = co_await acceptor->async_accept(asio::as_tuple(asio::use_awaitable));
      if (self->draining) co_return;
      if (error) {
        runtime.log().warning("accept_failed", {{"reason", error.message()}});
        co_await runtime::sleep_for(runtime, kAcceptPause);
        continue;
      }
      const IpAddress peer = address_of(socket);
      auto slot = self->limiter.admit(peer, listener->number, listener->trusts(peer));
      if (!slot) continue;  // closes it
      runtime::spawn(runtime, runtime.shard(shard), "connection",
                     run(self, shard, std::make_unique<Socket>(std::move(socket)), listener, peer,
                         std::make_unique<ConnectionLimiter::Slot>(*std::move(slot))));
    }
  }

  // By pointers: of what this holds there is as much as there are connections.
  static Task<void> run(std::shared_ptr<Impl> self, size_t shard, std::unique_ptr<Socket> accepted,
                        std::shared_ptr<const Listener> listener, IpAddress peer,
                        std::unique_ptr<ConnectionLimiter::Slot> slot) {
    const auto inside = std::move(slot);  // dies before the limiter
    const auto connection = co_await self->open(shard, std::move(accepted), *listener, peer);
    if (!connection) co_return;
    ++self->open_streams;
    const auto place = self->enter(shard, connection);
    co_await connection->serve();
    self->shards[shard].connections.erase(place);
    co_await self->say_goodbye(connection->stream());
    --self->open_streams;
  }

  using Connections = std::list<std::weak_ptr<Connection>>;
  Connections::iterator enter(size_t shard, const std::shared_ptr<Connection>& connection) {
    Connections& all = shards[shard].connections;
    return all.insert(all.end(), connection);
  }

  // Null if it says nothing, or no TLS, in time.
  Task<std::shared_ptr<Connection>> open(size_t shard, std::unique_ptr<Socket> accepted,
                                         const Listener& listener, IpAddress peer) {
    auto stream = co_await open_stream(shard, std::move(*accepted), listener, peer);
    if (!stream) co_return nullptr;
    co_return std::make_shared<Connection>(std::move(stream), context, listener, peer.str());
  }

  Task<std::unique_ptr<Stream>> open_stream(size_t shard, Socket socket, const Listener& listener,
                                            IpAddress peer) {
    boost::system::error_code ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    if (listener.certificate.empty()) co_return make_stream(std::move(socket));
    const Millis timeout = limits.timeouts.handshake;
    if (!co_await wait_readable(runtime, socket, timeout)) co_return nullptr;
    auto& under_way = shards[shard].handshakes;
    if (handshakes.full()) end_oldest(under_way);
    auto slot = handshakes.admit(peer, listener.number, listener.trusts(peer));
    if (!slot) co_return nullptr;
    auto stream = make_tls_server(std::move(socket), listener.tls());
    const auto place = under_way.emplace(under_way.end(), stream.get(), *std::move(slot));
    Deadline deadline(runtime, *stream);
    deadline.set(timeout);
    const Status agreed = co_await stream->handshake();
    deadline.stop();
    under_way.erase(place);
    if (!agreed.ok() || deadline.expired()) co_return nullptr;
    co_return stream;
  }

  // Who has had the longest time for a handshake makes way: who means it needs little.
  static void end_oldest(std::list<Handshake>& under_way) {
    const auto oldest =
        std::ranges::find_if(under_way, [](const Handshake& one) { return one.slot.has_value(); });
    if (oldest == under_way.end()) return;
    oldest->slot.reset();
    oldest->stream->close();
  }

  Task<void> say_goodbye(Stream& stream) {
    Deadline deadline(runtime, stream);
    deadline.set(limits.timeouts.goodbye);
    co_await stream.shutdown();
  }

  // On every shard: stops accepting, and closes what is idle (or, at last, everything).
  void close_on_shards(bool busy_too) {
    for (size_t i = 0; i < shards.size(); ++i) {
      asio::post(runtime.shard(i), [self = shared_from_this(), i, busy_too] {
        boost::system::error_code ignored;
        for (const auto& weak : self->shards[i].acceptors) {
          if (const auto acceptor = weak.lock()) acceptor->close(ignored);
        }
        for (const auto& weak : self->shards[i].connections) {
          const auto connection = weak.lock();
          if (connection && (busy_too || !connection->busy())) connection->stream().close();
        }
      });
    }
  }
};

Server::Server(runtime::Runtime& runtime, const Router& router, const ServerLimits& limits)
    : impl_(std::make_shared<Impl>(runtime, router, limits)) {}
Server::~Server() = default;

namespace {

Error cannot_listen(const tcp::endpoint& endpoint, const boost::system::error_code& error) {
  return fail(ErrorCode::kUnavailable, "cannot listen at " + endpoint.address().to_string() + ":" +
                                           std::to_string(endpoint.port()) + ": " +
                                           error.message());
}

// That nobody else listens there: with the kernel's queues side by side, two programs could.
Status check_free(runtime::Runtime& runtime, const tcp::endpoint& endpoint) {
  if (endpoint.port() == 0) return {};
  boost::system::error_code error;
  tcp::acceptor alone(runtime.shard(0));
  alone.open(endpoint.protocol(), error);
  if (!error) alone.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) alone.bind(endpoint, error);
  if (error) return cannot_listen(endpoint, error);
  return {};
}

}  // namespace

Result<uint16_t> Server::listen(const ListenerOptions& options) {
  auto listener = std::make_shared<Listener>();
  listener->number = impl_->listeners++;
  listener->resources = options.resources;
  listener->trusted_proxies = options.trusted_proxies;
  listener->certificate = options.tls_certificate;
  listener->key = options.tls_key;
  if (!listener->certificate.empty()) {
    POLDER_TRY(auto context, server_context(listener->certificate, listener->key));
    listener->set_tls(std::move(context));
    impl_->tls_listeners.push_back(listener);
  }
  boost::system::error_code error;
  const auto address = asio::ip::make_address(options.bind, error);
  if (error)
    return fail(ErrorCode::kInvalid,
                "cannot listen at \"" + options.bind + "\": not an IP address");
  tcp::endpoint endpoint(address, options.port);
  // Each shard has its own queue of the kernel's, at the same port.
  using ReusePort = asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>;
  POLDER_CHECK(check_free(impl_->runtime, endpoint));
  for (size_t shard = 0; shard < impl_->shards.size(); ++shard) {
    auto acceptor = std::make_shared<tcp::acceptor>(impl_->runtime.shard(shard));
    acceptor->open(endpoint.protocol(), error);
    if (!error) acceptor->set_option(tcp::acceptor::reuse_address(true), error);
    if (!error && impl_->shards.size() > 1) acceptor->set_option(ReusePort(true), error);
    if (!error) acceptor->bind(endpoint, error);
    if (!error) acceptor->listen(asio::socket_base::max_listen_connections, error);
    if (error) return cannot_listen(endpoint, error);
    endpoint = acceptor->local_endpoint();
    runtime::spawn(impl_->runtime, impl_->runtime.shard(shard), "accept",
                   Impl::accept(impl_, shard, std::move(acceptor), listener));
  }
  return endpoint.port();
}

// In the order of the listeners that have TLS.
class Server::Certificates {
 public:
  std::vector<TlsContext> contexts;
};

Result<std::shared_ptr<const Server::Certificates>> Server::read_certificates() const {
  auto read = std::make_shared<Certificates>();
  for (const auto& listener : impl_->tls_listeners) {
    POLDER_TRY(auto context, server_context(listener->certificate, listener->key));
    read->contexts.push_back(std::move(context));
  }
  return std::shared_ptr<const Certificates>(std::move(read));
}

void Server::use(const Certificates& certificates) {
  for (size_t i = 0; i < certificates.contexts.size(); ++i)
    impl_->tls_listeners[i]->set_tls(certificates.contexts[i]);
}

Task<void> Server::drain(Millis time) {
  impl_->draining = true;
  impl_->close_on_shards(false);
  for (Millis waited{0}; waited < time && impl_->open_streams > 0; waited += kDrainStep) {
    co_await runtime::sleep_for(impl_->runtime, kDrainStep);
  }
  if (impl_->open_streams > 0) impl_->close_on_shards(true);
}

size_t Server::connections() const {
  return impl_->limiter.inside();
}

uint64_t Server::answers_held() const {
  return impl_->answers.held();
}

uint64_t Server::bodies_held() const {
  return impl_->bodies.held();
}

uint64_t Server::refusals() const {
  return impl_->limiter.refusals() + impl_->handshakes.refusals();
}

}  // namespace polder::http
