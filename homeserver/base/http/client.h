// The HTTP/1.1 client: requests to an address that somebody else has looked up and allowed
// (homeserver/base/egress). Follows no redirects.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "homeserver/base/http/message.h"
#include "homeserver/base/runtime/runtime.h"

namespace polder::http {

// A request under way, as who sent it sees it from outside. Used on the request's shard.
class RequestProgress {
 public:
  virtual ~RequestProgress() = default;
  // So many more bytes of the answer are held, for as long as this lives; an error ends the request
  // with it.
  virtual Status hold(size_t) { return {}; }

  uint64_t moved = 0;              // bytes that went out or came in
  std::function<void()> end = {};  // ends the request, with kTimeout; empty while there is none
};

struct ClientRequest {
  std::string address;  // IP address to connect to
  uint16_t port = 443;
  bool tls = true;
  std::string tls_name;  // what the certificate must be for: host name or IP address
  std::string host;      // the Host header
  Method method = Method::kGet;
  std::string target = "/";
  Headers headers;
  std::string body;
  // For everything, from connecting to the response's last byte; longer only by what the bytes that
  // moved may take (time_allowance.h).
  Millis timeout{60'000};
  size_t body_max = 10 << 20;  // bytes of the response's body
  // Takes the body of a response of status 2xx, in place of the response.
  std::shared_ptr<BodySink> sink = nullptr;
  std::shared_ptr<RequestProgress> progress = nullptr;
};

struct ClientResponse {
  int status = 0;
  Headers headers{};
  std::string body{};
  std::shared_ptr<const void> held = nullptr;  // keeps the body's bytes counted while it lives
};

// The network at the level of whole requests, so that a simulation can be one.
class Transport {
 public:
  virtual ~Transport() = default;
  // kUnavailable if the connection fails, kTimeout, kTooLarge, kMalformed.
  virtual Task<Result<ClientResponse>> send(ClientRequest request) = 0;
};

// Over real sockets, with connections kept for the next request of the same shard. Trusts the
// system's authorities and those of the files.
Result<std::unique_ptr<Transport>> make_transport(runtime::Runtime& runtime,
                                                  const std::vector<std::string>& extra_ca_files);
// Whether it could trust the authorities of these PEM files; kInvalid. Reads them.
Status check_authorities(const std::vector<std::string>& extra_ca_files);

}  // namespace polder::http
