#include "federation/transport/transport.h"

#include "federation/wire/authorization.h"
#include "homeserver/base/json/parse.h"
#include "homeserver/base/values/bytes.h"

namespace polder::transport {
namespace {

constexpr size_t kBackOffsMax = 20'000;
constexpr size_t kErrorBytesMax = 64 * 1024;
constexpr size_t kErrorTextMax = 300;

std::string target_of(const Call& call) {
  std::string target = call.path;
  char separator = '?';
  for (const auto& [name, value] : call.query) {
    target.push_back(std::exchange(separator, '&'));
    target.append(base::percent_encode(name)).append("=").append(base::percent_encode(value));
  }
  return target;
}

ErrorCode code_of(int status, std::string_view errcode) {
  if (errcode == "M_UNRECOGNIZED" || errcode == "M_INCOMPATIBLE_ROOM_VERSION" ||
      errcode == "M_UNSUPPORTED_ROOM_VERSION")
    return ErrorCode::kUnsupported;
  // What media endpoints say of one file with a status of 5xx is no outage of the server.
  if (errcode == "M_NOT_YET_UPLOADED") return ErrorCode::kTimeout;
  if (errcode == "M_TOO_LARGE") return ErrorCode::kTooLarge;
  switch (status) {
    case 401:
    case 403:
      return ErrorCode::kForbidden;
    case 404:
      return ErrorCode::kNotFound;
    case 405:
      return ErrorCode::kUnsupported;
    case 413:
      return ErrorCode::kTooLarge;
    case 429:
      return ErrorCode::kRateLimited;
    default:
      return status >= 400 && status < 500 ? ErrorCode::kInvalid : ErrorCode::kUnavailable;
  }
}

// Printable, bounded: it ends up in logs and in answers to clients.
std::string plain(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, kErrorTextMax))
    out.push_back(c < ' ' || c == 0x7f ? ' ' : c);
  while (!out.empty() && !base::is_utf8(out))
    out.pop_back();  // what was cut in the middle of a character
  return out;
}

Error error_of(const http::ClientResponse& response) {
  const auto body = response.body.size() <= kErrorBytesMax
                        ? json::parse_object(response.body)
                        : Result<json::Object>(fail(ErrorCode::kTooLarge, ""));
  const std::string* errcode = body.ok() ? body->find_string("errcode") : nullptr;
  if (errcode == nullptr)
    return fail(code_of(response.status, ""), "status " + std::to_string(response.status));
  const std::string* text = body->find_string("error");
  return fail(code_of(response.status, *errcode),
              plain(*errcode) + ": " + plain(text != nullptr ? *text : std::string()));
}

}  // namespace

std::string path_of(std::string_view prefix, std::initializer_list<std::string_view> segments) {
  std::string path(prefix);
  for (const std::string_view segment : segments)
    path.append("/").append(base::percent_encode(segment));
  return path;
}

Task<Status> Call::fill() {
  const auto fill_in = std::exchange(prepare, {});
  if (!fill_in) co_return Status();
  co_return co_await fill_in(*this);
}

Error not_asked(const ServerName& server) {
  return fail(ErrorCode::kUnavailable, server.str() + " could not be asked");
}

Task<Result<json::Object>> Servers::request(ServerName server, Call call) {
  const size_t max = call.body_max;
  POLDER_CO_TRY(const auto response, co_await this->call(std::move(server), std::move(call)));
  json::ParseLimits limits;
  limits.max_bytes = max;
  co_return json::parse_object(response.body, limits);
}

Task<Result<http::ClientResponse>> NetworkServers::call(ServerName server, Call call) {
  if (server == own_name_) co_return fail(ErrorCode::kInvalid, "a request to this server itself");
  if (!call.despite_back_off && back_off(server) > Millis(0)) co_return not_asked(server);
  const bool tell_if_busy = call.tell_if_busy;
  std::optional<Error> refused;  // by whoever prepares the call
  if (call.prepare) {
    call.prepare = [&refused, prepare = std::move(call.prepare)](Call& filled) -> Task<Status> {
      const Status filled_in = co_await prepare(filled);
      if (!filled_in.ok()) refused = filled_in.error();
      co_return filled_in;
    };
  }
  auto response = co_await send(server, std::move(call));
  if (!response.ok()) {
    if (refused) co_return *std::move(refused);
    co_return no_answer(server, response.error(), tell_if_busy);
  }
  if (response->status >= 200 && response->status < 300) {
    heard_from(server);
    co_return response;
  }
  Error error = error_of(*response);
  // A refusal is a sign of life; failures, and being told to slow down, are not.
  if (error.code == ErrorCode::kUnavailable || error.code == ErrorCode::kRateLimited) {
    failed(server);
  } else {
    heard_from(server);
  }
  co_return error;
}

Error NetworkServers::no_answer(const ServerName& server, const Error& why, bool tell_if_busy) {
  runtime_.log().info("federation_not_asked", {{"server", server}, {"reason", why.message}});
  // The gate had no place for it: nothing is known of the server.
  if (why.code == ErrorCode::kRateLimited) return tell_if_busy ? why : not_asked(server);
  // What it sent is too much: it is up.
  if (why.code == ErrorCode::kTooLarge) return why;
  failed(server);
  return not_asked(server);
}

Task<Result<http::ClientResponse>> NetworkServers::send(ServerName server, Call call) {
  const auto deadline = runtime_.clock().steady() + call.timeout + call.demand.line_max;
  POLDER_CO_TRY(const auto destinations,
                co_await discovery_.resolve(server, call.demand, call.timeout));
  egress::EgressRequest request;
  request.demand = call.demand;
  request.body_max = call.body_max;
  request.sink = std::move(call.sink);
  request.prepare = [&](egress::EgressRequest& filled) -> Task<Status> {
    POLDER_CO_CHECK(co_await call.fill());
    co_return complete(server, call, filled);
  };
  Error last = fail(ErrorCode::kUnavailable, "no destination");
  for (const discovery::Destination& destination : destinations) {
    request.host = destination.host;
    request.port = destination.port;
    request.tls_name = destination.tls_name;
    request.host_header = destination.host_header;
    const auto left = std::chrono::floor<Millis>(deadline - runtime_.clock().steady());
    request.timeout = std::min(left, call.timeout);
    if (request.timeout <= Millis(0)) break;
    auto response = co_await egress_.send(request);
    if (response.ok()) co_return response;
    last = std::move(response).error();
    if (last.code != ErrorCode::kUnavailable && last.code != ErrorCode::kNotFound) break;
  }
  // A name without address is an outage to whoever asks, not an answer.
  if (last.code == ErrorCode::kNotFound) last.code = ErrorCode::kUnavailable;
  co_return last;
}

// https://spec.matrix.org/v1.19/server-server-api/#request-authentication
Status NetworkServers::complete(const ServerName& server, const Call& call,
                                egress::EgressRequest& request) const {
  request.method = call.method;
  request.target = target_of(call);
  request.headers = {};
  if (call.authenticated) {
    request.headers.add("Authorization",
                        wire::authorize({http::to_string(call.method), request.target, own_name_,
                                         server, call.body ? *call.body : std::string_view()},
                                        key_));
  }
  if (call.body) {
    request.headers.add("Content-Type", "application/json");
    request.body = *call.body;
  }
  return {};
}

Millis NetworkServers::back_off(const ServerName& server) const {
  const auto now = runtime_.clock().steady();
  const base::Lock lock(mutex_);
  const auto found = back_offs_.find(server);
  if (found == back_offs_.end() || found->second.until <= now) return Millis(0);
  return std::chrono::ceil<Millis>(found->second.until - now);
}

void NetworkServers::heard_from(const ServerName& server) {
  const base::Lock lock(mutex_);
  back_offs_.erase(server);
}

void NetworkServers::set_limits(BackOffLimits limits) {
  const base::Lock lock(mutex_);
  limits_ = limits;
}

size_t NetworkServers::backed_off() const {
  const auto now = runtime_.clock().steady();
  const base::Lock lock(mutex_);
  size_t count = 0;
  for (const auto& [server, entry] : back_offs_)
    count += entry.until > now ? 1 : 0;
  return count;
}

// Twice as long each time, less a random part so that servers do not come back in step.
void NetworkServers::failed(const ServerName& server) {
  const auto now = runtime_.clock().steady();
  const base::Lock lock(mutex_);
  if (back_offs_.size() >= kBackOffsMax) {
    std::erase_if(back_offs_, [&](const auto& entry) { return entry.second.until <= now; });
    if (back_offs_.size() >= kBackOffsMax) back_offs_.clear();
  }
  BackOff& entry = back_offs_[server];
  // Requests that were under way together fail together: that is one outage.
  if (entry.until > now) return;
  entry.failures = std::min(entry.failures + 1, 30);
  Millis wait = std::min(limits_.first, limits_.longest);
  for (int i = 1; i < entry.failures && wait < limits_.longest; ++i)
    wait = std::min(wait * 2, limits_.longest);
  const auto spread = static_cast<uint64_t>(wait.count() / 5 + 1);
  entry.until = now + wait - Millis(static_cast<int64_t>(runtime_.random().below(spread)));
}

}  // namespace polder::transport
