// The HTTP/1.1 server: listeners, connections, graceful end.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "homeserver/base/http/limits.h"
#include "homeserver/base/http/router.h"
#include "homeserver/base/runtime/runtime.h"
#include "homeserver/base/values/ip_address.h"

namespace polder::http {

struct ListenerOptions {
  std::string bind;   // an IP address
  uint16_t port = 0;  // 0: a free one
  Resources resources;
  std::string tls_certificate = {};  // PEM files; empty: no TLS
  std::string tls_key = {};
  std::vector<IpRange> trusted_proxies = {};  // whose X-Forwarded-For is believed
};

// Whether a TLS listener could use these PEM files; kInvalid. Reads them.
Status check_certificate(const std::string& certificate_file, const std::string& key_file);

class Server {
 public:
  // The router and the runtime outlive it.
  Server(runtime::Runtime& runtime, const Router& router, const ServerLimits& limits = {});
  ~Server();

  // Binds and starts to accept, on every shard. Gives the port. Before or while the runtime runs.
  Result<uint16_t> listen(const ListenerOptions& options);

  // Certificates that were read, and of which no connection knows.
  class Certificates;
  // Reads those of all listeners again. Reads files; from any thread, but not beside listen().
  Result<std::shared_ptr<const Certificates>> read_certificates() const;
  // For connections that come from now on. Never fails, so that what is reloaded with it can be
  // checked in between.
  void use(const Certificates& certificates);

  // Accepts no more, ends connections as soon as they have no request in flight, and returns when
  // all have, or the time is over (then what is left is closed).
  Task<void> drain(Millis time);

  size_t connections() const;
  uint64_t answers_held() const;  // bytes that wait to be read
  uint64_t bodies_held() const;   // bytes of requests in memory
  uint64_t refusals() const;      // connections and handshakes for which there was no place

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace polder::http
