#include "homeserver/base/egress/egress.h"

#include "homeserver/base/egress/address.h"
#include "homeserver/base/egress/in_time.h"
#include "homeserver/base/egress/url.h"

namespace polder::egress {
namespace {

constexpr size_t kAddressesTried = 3;
constexpr size_t kHeadersMax = 50;

Status check_request(const EgressRequest& request) {
  if (request.host.empty() || request.host.size() > 255 || request.port == 0)
    return fail(ErrorCode::kInvalid, "no host to connect to");
  if (!is_target(request.target)) return fail(ErrorCode::kInvalid, "not a request target");
  if (!is_authority(request.host_header)) return fail(ErrorCode::kInvalid, "not a Host header");
  if (request.headers.size() > kHeadersMax) return fail(ErrorCode::kTooLarge, "too many headers");
  for (const auto& [name, value] : request.headers) {
    if (name.find_first_of(" :\r\n") != std::string::npos ||
        value.find_first_of("\r\n") != std::string::npos) {
      return fail(ErrorCode::kInvalid, "not a header: " + name);
    }
  }
  return {};
}

Url url_of(const EgressRequest& request) {
  return {request.tls, request.host, request.port, request.port == (request.tls ? 443 : 80),
          request.target};
}

// A request that has its slot, until its answer is used up: the slot ends with the request, the
// bytes of the answer are held as long as this lives.
class Running final : public http::RequestProgress, public std::enable_shared_from_this<Running> {
 public:
  Running(runtime::Runtime& runtime, std::shared_ptr<Slots> slots, Slots::SlotPtr slot, Cause cause)
      : runtime_(runtime), slots_(std::move(slots)), slot_(std::move(slot)), cause_(cause) {}
  ~Running() override { slots_->release(cause_, held_); }

  void begin() {
    timer_ = runtime_.after(kPromptTime, [weak = weak_from_this()] {
      if (const auto running = weak.lock()) running->look();
    });
  }
  void finish() {
    if (timer_) timer_->cancel();
    timer_.reset();
    slot_.reset();
  }
  Status hold(size_t bytes) override {
    if (!slots_->hold(cause_, bytes))
      return fail(ErrorCode::kRateLimited, "too much is being received");
    held_ += bytes;
    return {};
  }
  size_t held() const { return held_; }

 private:
  void look() {
    if (!slot_) return;
    if (moved - std::exchange(seen_, moved) >= kPromptBytes) return begin();
    slot_->becomes_slow([weak = weak_from_this()] {
      const auto running = weak.lock();
      if (running && running->end) running->end();
    });
  }

  runtime::Runtime& runtime_;
  const std::shared_ptr<Slots> slots_;
  Slots::SlotPtr slot_;
  const Cause cause_;
  std::unique_ptr<runtime::Timer> timer_;
  uint64_t seen_ = 0;
  size_t held_ = 0;
};

http::ClientRequest client_request(const EgressRequest& request, const std::string& address) {
  http::ClientRequest sent;
  sent.address = address;
  sent.port = request.port;
  sent.tls = request.tls;
  sent.tls_name = request.tls_name;
  sent.host = request.host_header;
  sent.method = request.method;
  sent.target = request.target;
  sent.headers = request.headers;
  if (sent.headers.count("User-Agent") == 0) sent.headers.add("User-Agent", "Polder");
  sent.body = request.body;
  sent.body_max = request.body_max;
  sent.sink = request.sink;
  return sent;
}

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

metrics::Counter& outcome_of(ErrorCode code, EgressStats& stats) {
  switch (code) {
    case ErrorCode::kRateLimited:
      return stats.no_slot;
    case ErrorCode::kForbidden:
      return stats.forbidden;
    case ErrorCode::kNotFound:
      return stats.no_address;
    case ErrorCode::kTimeout:
      return stats.timed_out;
    default:
      return stats.failed;
  }
}

}  // namespace

Task<Result<http::ClientResponse>> CheckedEgress::send(EgressRequest request) {
  EgressStats& stats = stats_[static_cast<size_t>(request.demand.cause)];
  const auto begun = runtime_.clock().steady();
  const auto deadline = begun + request.timeout;
  auto response = co_await follow(std::move(request), deadline);
  stats.time.observe(std::chrono::duration<double>(runtime_.clock().steady() - begun).count());
  (response.ok() ? stats.answered : outcome_of(response.error().code, stats)).add();
  co_return response;
}

Task<Result<http::ClientResponse>> CheckedEgress::follow(EgressRequest request,
                                                         std::chrono::nanoseconds deadline) {
  const bool may_follow =
      request.method == http::Method::kGet || request.method == http::Method::kHead;
  int redirects = may_follow ? request.redirects_max : 0;
  for (;;) {
    auto response = co_await send_once(request, deadline);
    if (!response.ok() || !is_redirect(response->status) || redirects == 0) co_return response;
    --redirects;
    POLDER_CO_TRY(const Url url,
                  follow_location(url_of(request), response->headers.find("Location")));
    if (!url.tls) co_return fail(ErrorCode::kForbidden, "redirected to a URL without TLS");
    request.host = url.host;
    request.port = url.port;
    request.tls = true;
    request.tls_name.clear();
    request.host_header = url.authority();
    request.target = url.target;
    request.headers = {};
  }
}

namespace {

// The slot stays taken until the resolver has ended, also if nobody waits for it any more.
template <class T>
Task<Result<T>> with_slot(Task<Result<T>> question, Slots::SlotPtr) {
  co_return co_await std::move(question);
}

// What one name server answers for, as a rule: the last two labels.
std::string domain_of(std::string_view name) {
  const size_t last = name.rfind('.');
  if (last == std::string_view::npos || last == 0) return std::string(name);
  const size_t before = name.rfind('.', last - 1);
  return std::string(before == std::string_view::npos ? name : name.substr(before + 1));
}

template <class T>
metrics::Counter& outcome_of(const Result<T>& answer, LookUpStats& stats) {
  if (answer.ok()) return stats.answered;
  switch (answer.error().code) {
    case ErrorCode::kRateLimited:
      return stats.no_slot;
    case ErrorCode::kNotFound:
      return stats.none;
    default:
      return stats.failed;
  }
}

}  // namespace

template <class T>
Task<Result<T>> CheckedEgress::look_up(std::string name, Demand demand,
                                       std::chrono::nanoseconds deadline,
                                       Task<Result<T>> (Resolver::*ask)(std::string)) {
  LookUpStats& stats = look_up_stats_[static_cast<size_t>(demand.cause)];
  auto slot = co_await look_ups_->take(std::move(demand), domain_of(name), deadline);
  if (!slot.ok()) {
    stats.no_slot.add();
    co_return std::move(slot).error();
  }
  auto question = with_slot((resolver_.*ask)(std::move(name)), *std::move(slot));
  auto answer = co_await in_time(runtime_, deadline, std::move(question));
  outcome_of(answer, stats).add();
  co_return answer;
}

Task<Result<Services>> CheckedEgress::services(std::string name, Demand demand,
                                               std::chrono::nanoseconds deadline) {
  return look_up(std::move(name), std::move(demand), deadline, &Resolver::services);
}

Task<Result<std::vector<std::string>>> CheckedEgress::allowed_addresses(
    std::string host, Demand demand, std::chrono::nanoseconds deadline) {
  std::vector<std::string> found;
  if (is_address(host)) {
    found.push_back(host);
  } else {
    POLDER_CO_TRY(auto answer,
                  co_await look_up(host, std::move(demand), deadline, &Resolver::addresses));
    found = std::move(answer.addresses);
  }
  if (deny_private_)
    std::erase_if(found, [](const std::string& address) { return !is_public_address(address); });
  if (found.empty())
    co_return fail(ErrorCode::kForbidden, host + " is at no address that may be reached");
  if (found.size() > kAddressesTried) found.resize(kAddressesTried);
  co_return found;
}

Task<Result<http::ClientResponse>> CheckedEgress::send_once(EgressRequest request,
                                                            std::chrono::nanoseconds deadline) {
  if (request.tls_name.empty()) request.tls_name = request.host;
  if (request.host_header.empty()) request.host_header = url_of(request).authority();
  POLDER_CO_CHECK(check_request(request));
  POLDER_CO_TRY(const auto addresses,
                co_await allowed_addresses(request.host, request.demand, deadline));
  Error last = fail(ErrorCode::kTimeout, "no time left to connect");
  for (const std::string& address : addresses) {
    if (deadline <= runtime_.clock().steady()) break;
    auto response = co_await send_to(address, request, deadline);
    // Only what did not come through is worth another address.
    if (response.ok() || response.error().code != ErrorCode::kUnavailable) co_return response;
    last = std::move(response).error();
  }
  co_return last;
}

Task<Result<http::ClientResponse>> CheckedEgress::send_to(std::string address,
                                                          EgressRequest& request,
                                                          std::chrono::nanoseconds& deadline) {
  const auto before = runtime_.clock().steady();
  POLDER_CO_TRY(auto slot, co_await slots_->take(request.demand, network_of(address),
                                                 deadline + request.demand.line_max));
  const std::chrono::nanoseconds in_line = runtime_.clock().steady() - before;
  const std::chrono::nanoseconds beyond =
      std::min(in_line, std::chrono::nanoseconds(request.demand.line_max));
  deadline += beyond;
  const auto running =
      std::make_shared<Running>(runtime_, slots_, std::move(slot), request.demand.cause);
  if (request.prepare) {
    const auto prepare = std::exchange(request.prepare, {});
    POLDER_CO_CHECK(co_await prepare(request));
    POLDER_CO_CHECK(check_request(request));
  }
  http::ClientRequest attempt = client_request(request, address);
  const auto left = deadline - runtime_.clock().steady();
  attempt.timeout = std::max(std::chrono::duration_cast<Millis>(left), Millis(1));
  attempt.progress = running;
  running->begin();
  auto response = co_await transport_.send(std::move(attempt));
  running->finish();
  if (!response.ok()) co_return response;
  // What a transport did not count while it came.
  if (response->body.size() > running->held())
    POLDER_CO_CHECK(running->hold(response->body.size() - running->held()));
  response->held = running;
  co_return response;
}

}  // namespace polder::egress
