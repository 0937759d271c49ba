// Signed requests to other servers by their name.
// https://spec.matrix.org/v1.19/server-server-api/#request-authentication
#pragma once

#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "federation/discovery/discovery.h"
#include "homeserver/base/crypto/keys.h"
#include "homeserver/base/egress/egress.h"
#include "homeserver/base/json/value.h"
#include "homeserver/base/runtime/runtime.h"
#include "homeserver/base/values/ids.h"
#include "homeserver/base/values/mutex.h"

namespace polder::transport {

// "/_matrix/federation/v1/state/!a%3Ab" from a prefix and segments, which are encoded.
std::string path_of(std::string_view prefix, std::initializer_list<std::string_view> segments);

using Query = std::vector<std::pair<std::string, std::string>>;

struct Call {
  http::Method method = http::Method::kGet;
  std::string path;                   // encoded; path_of()
  Query query{};                      // not encoded
  std::optional<std::string> body{};  // canonical JSON
  Millis timeout{60'000};
  size_t body_max = 10 << 20;     // bytes of the answer
  bool authenticated = true;      // false: without signature, for keys
  bool despite_back_off = false;  // ask even a server that failed just now
  std::shared_ptr<http::BodySink> sink =
      nullptr;                // takes the answer's body, in place of the answer
  egress::Demand demand{};    // why it is made: what it may take of this server
  bool tell_if_busy = false;  // kRateLimited, not kUnavailable, if this server has no place for it
  // Gives path and body once there is a place, so that what waits for one holds nothing; an error
  // ends the call. Called at most once, by fill().
  std::function<Task<Status>(Call&)> prepare{};

  Task<Status> fill();
};

// What is told of a server from which there was no answer, whatever the reason: whether a name, a
// host or a port exists is not for those to know who make this server ask. The log has the reason.
Error not_asked(const ServerName& server);

// Errors that tell what the other server answered: kInvalid (400 and other refusals), kForbidden
// (401, 403), kNotFound, kUnsupported (an endpoint or room version unknown there), kTooLarge (413,
// or the answer), kRateLimited (429), kUnavailable (not_asked(), 5xx), kTimeout (media not
// yet uploaded), kMalformed; their message begins with the other server's errcode.
// not_asked() also where this server has no place to ask from; that is held against nobody.
// Thread-safe; called on shards.
class Servers {
 public:
  virtual ~Servers() = default;
  // An answer of status 2xx. Where that is held whole all the same, as simulations do, it may have
  // its body although there is a sink.
  virtual Task<Result<http::ClientResponse>> call(ServerName server, Call call) = 0;
  // The same where the answer must be a JSON object.
  Task<Result<json::Object>> request(ServerName server, Call call);
  // How long until the server is asked again; zero if at once.
  virtual Millis back_off(const ServerName& server) const = 0;
  // The server was heard from: it is up again.
  virtual void heard_from(const ServerName& server) = 0;
};

struct BackOffLimits {
  Millis first{10'000};
  Millis longest{3'600'000};
};

// Over the network. What it was made of outlives it.
class NetworkServers final : public Servers {
 public:
  NetworkServers(runtime::Runtime& runtime, egress::Egress& egress, discovery::Discovery& discovery,
                 ServerName own_name, const crypto::SigningKey& key, BackOffLimits limits)
      : runtime_(runtime),
        egress_(egress),
        discovery_(discovery),
        own_name_(std::move(own_name)),
        key_(key),
        limits_(limits) {}

  Task<Result<http::ClientResponse>> call(ServerName server, Call call) override;
  Millis back_off(const ServerName& server) const override;
  void heard_from(const ServerName& server) override;
  void set_limits(BackOffLimits limits);
  // Servers that are left in peace now.
  size_t backed_off() const;

 private:
  struct BackOff {
    int failures = 0;
    std::chrono::nanoseconds until{0};
  };
  Task<Result<http::ClientResponse>> send(ServerName server, Call call);
  Status complete(const ServerName& server, const Call& call, egress::EgressRequest& request) const;
  void failed(const ServerName& server);
  Error no_answer(const ServerName& server, const Error& why, bool tell_if_busy);

  runtime::Runtime& runtime_;
  egress::Egress& egress_;
  discovery::Discovery& discovery_;
  const ServerName own_name_;
  const crypto::SigningKey& key_;
  mutable base::Mutex mutex_;
  BackOffLimits limits_ GUARDED_BY(mutex_);
  std::map<ServerName, BackOff> back_offs_ GUARDED_BY(mutex_);
};

}  // namespace polder::transport
