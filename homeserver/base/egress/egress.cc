#include "homeserver/base/egress/egress.h"

#include "homeserver/base/egress/address.h"
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

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

}  // namespace

Task<Result<http::ClientResponse>> CheckedEgress::send(EgressRequest request) {
  const auto deadline = runtime_.clock().steady() + request.timeout;
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

Task<Result<std::vector<std::string>>> CheckedEgress::allowed_addresses(std::string host) {
  std::vector<std::string> found;
  if (is_address(host)) {
    found.push_back(host);
  } else {
    POLDER_CO_TRY(auto answer, co_await resolver_.addresses(host));
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
  POLDER_CO_TRY(const auto addresses, co_await allowed_addresses(request.host));
  http::ClientRequest sent;
  sent.port = request.port;
  sent.tls = request.tls;
  sent.tls_name = std::move(request.tls_name);
  sent.host = std::move(request.host_header);
  sent.method = request.method;
  sent.target = std::move(request.target);
  sent.headers = std::move(request.headers);
  if (sent.headers.count("User-Agent") == 0) sent.headers.add("User-Agent", "Polder");
  sent.body = std::move(request.body);
  sent.body_max = request.body_max;
  sent.sink = std::move(request.sink);
  Error last = fail(ErrorCode::kTimeout, "no time left to connect");
  for (const std::string& address : addresses) {
    const auto left = deadline - runtime_.clock().steady();
    if (left <= std::chrono::nanoseconds(0)) break;
    http::ClientRequest attempt = sent;
    attempt.address = address;
    attempt.timeout = std::max(std::chrono::duration_cast<Millis>(left), Millis(1));
    auto response = co_await transport_.send(std::move(attempt));
    // Only what did not come through is worth another address.
    if (response.ok() || response.error().code != ErrorCode::kUnavailable) co_return response;
    last = std::move(response).error();
  }
  co_return last;
}

}  // namespace polder::egress
