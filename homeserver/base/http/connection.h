// One connection of a client: requests in, responses out, in order. Private to this module.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "homeserver/base/http/held_bytes.h"
#include "homeserver/base/http/limits.h"
#include "homeserver/base/http/request_body.h"
#include "homeserver/base/http/request_head.h"
#include "homeserver/base/http/router.h"
#include "homeserver/base/http/stream.h"
#include "homeserver/base/values/ip_address.h"

namespace polder::http {

// What a connection shares with all others of its server.
struct ConnectionContext {
  runtime::Runtime& runtime;
  const Router& router;
  const Timeouts& timeouts;
  HeldBytes& bodies;
  HeldBytes& answers;
  const std::atomic<bool>& draining;
};
// And with those of its listener.
struct ListenerContext {
  size_t number = 0;
  Resources resources;
  std::vector<IpRange> trusted_proxies;
};

// Made as a shared_ptr, on its shard, where all of it is called. The contexts outlive it.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(std::unique_ptr<Stream> stream, const ConnectionContext& context,
             const ListenerContext& listener, std::string peer);
  ~Connection();

  // Serves until the connection ends, or, while draining, until the response under way has been
  // sent.
  Task<void> serve();
  // Whether a request is in flight.
  bool busy() const { return busy_; }
  Stream& stream() { return *stream_; }

 private:
  struct Asked;
  Task<std::unique_ptr<Asked>> next(bool first);
  Task<void> refuse(HeadFault fault);
  std::unique_ptr<Asked> taken(RequestHead& head);
  Task<bool> send(Asked& asked);
  Task<void> go_away();
  std::string who(const Exchange& exchange) const;
  std::function<void()> end();

  const std::unique_ptr<Stream> stream_;
  const ConnectionContext& context_;
  const ListenerContext& listener_;
  const std::string peer_;  // its address
  Input input_;
  bool busy_ = false;
};

}  // namespace polder::http
