#include "homeserver/base/http/server.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <list>

#include "homeserver/base/http/connection.h"
#include "homeserver/base/http/limits.h"
#include "homeserver/base/http/tcp.h"

namespace polder::http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
constexpr Millis kDrainStep{10};
constexpr Millis kAcceptPause{100};  // after a failure such as too many open files

struct Listener {
  Resources resources;
  std::vector<IpRange> trusted_proxies;
  TlsContext tls;
};

}  // namespace

struct Server::Impl : std::enable_shared_from_this<Server::Impl> {
  Impl(runtime::Runtime& r, const Router& table)
      : runtime(r), router(table), shards(r.shard_count()) {}

  struct Connection {
    std::unique_ptr<Stream> stream;
    bool busy = false;
  };
  // Touched only on its shard. Owned by the tasks, which die with their shard's context: whoever
  // owned them here would keep sockets of a context that is gone.
  struct Shard {
    std::list<std::weak_ptr<tcp::acceptor>> acceptors;
    std::list<std::weak_ptr<Connection>> connections;
  };

  runtime::Runtime& runtime;
  const Router& router;
  std::vector<Shard> shards;
  std::atomic<bool> draining = false;
  std::atomic<size_t> connections = 0;

  Task<void> accept(size_t shard, std::shared_ptr<tcp::acceptor> acceptor,
                    std::shared_ptr<const Listener> listener) {
    shards[shard].acceptors.push_back(acceptor);
    while (!draining) {
      auto [error, socket] = co_await acceptor->async_accept(asio::as_tuple(asio::use_awaitable));
      if (draining) co_return;
      if (error) {
        runtime.log().warning("accept_failed", {{"reason", error.message()}});
        co_await runtime::sleep_for(runtime, kAcceptPause);
        continue;
      }
      if (connections >= kConnectionsMax) continue;  // closes it
      ++connections;
      runtime::spawn(runtime, runtime.shard(shard), "connection",
                     run(shared_from_this(), shard, std::move(socket), listener));
    }
  }

  static Task<void> run(std::shared_ptr<Impl> self, size_t shard, Socket socket,
                        std::shared_ptr<const Listener> listener) {
    boost::system::error_code ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    const auto peer = socket.remote_endpoint(ignored);
    const std::string address = ignored ? "" : peer.address().to_string();
    co_await self->run_connection(shard, std::move(socket), listener, address);
    --self->connections;
  }

  Task<void> run_connection(size_t shard, Socket socket, std::shared_ptr<const Listener> listener,
                            std::string address) {
    auto connection = std::make_shared<Connection>();
    if (listener->tls) {
      auto stream = co_await accept_tls(std::move(socket), listener->tls);
      if (!stream.ok()) co_return;
      connection->stream = *std::move(stream);
    } else {
      connection->stream = make_stream(std::move(socket));
    }
    auto& list = shards[shard].connections;
    const auto place = list.insert(list.end(), connection);
    const ConnectionContext context{
        runtime, router, listener->resources, std::move(address), listener->trusted_proxies,
        draining};
    co_await serve(*connection->stream, context, connection->busy);
    list.erase(place);
    co_await connection->stream->shutdown();
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
          if (connection && (busy_too || !connection->busy)) connection->stream->close();
        }
      });
    }
  }
};

Server::Server(runtime::Runtime& runtime, const Router& router)
    : impl_(std::make_shared<Impl>(runtime, router)) {}
Server::~Server() = default;

Result<uint16_t> Server::listen(const ListenerOptions& options) {
  auto listener = std::make_shared<Listener>();
  listener->resources = options.resources;
  listener->trusted_proxies = options.trusted_proxies;
  if (!options.tls_certificate.empty()) {
    POLDER_TRY(listener->tls, server_context(options.tls_certificate, options.tls_key));
  }
  boost::system::error_code error;
  const auto address = asio::ip::make_address(options.bind, error);
  if (error)
    return fail(ErrorCode::kInvalid,
                "cannot listen at \"" + options.bind + "\": not an IP address");
  tcp::endpoint endpoint(address, options.port);
  // Each shard has its own queue of the kernel's, at the same port.
  using ReusePort = asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>;
  for (size_t shard = 0; shard < impl_->shards.size(); ++shard) {
    auto acceptor = std::make_shared<tcp::acceptor>(impl_->runtime.shard(shard));
    acceptor->open(endpoint.protocol(), error);
    if (!error) acceptor->set_option(tcp::acceptor::reuse_address(true), error);
    if (!error && impl_->shards.size() > 1) acceptor->set_option(ReusePort(true), error);
    if (!error) acceptor->bind(endpoint, error);
    if (!error) acceptor->listen(asio::socket_base::max_listen_connections, error);
    if (error)
      return fail(ErrorCode::kUnavailable, "cannot listen at " + options.bind + ":" +
                                               std::to_string(endpoint.port()) + ": " +
                                               error.message());
    endpoint = acceptor->local_endpoint();
    runtime::spawn(impl_->runtime, impl_->runtime.shard(shard), "accept",
                   impl_->accept(shard, std::move(acceptor), listener));
  }
  return endpoint.port();
}

Task<void> Server::drain(Millis time) {
  impl_->draining = true;
  impl_->close_on_shards(false);
  for (Millis waited{0}; waited < time && impl_->connections > 0; waited += kDrainStep) {
    co_await runtime::sleep_for(impl_->runtime, kDrainStep);
  }
  if (impl_->connections > 0) impl_->close_on_shards(true);
}

size_t Server::connections() const {
  return impl_->connections;
}

}  // namespace polder::http
