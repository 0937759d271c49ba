#include "federation/discovery/discovery.h"

#include <charconv>

#include "homeserver/base/json/parse.h"

namespace polder::discovery {
namespace {

using std::chrono::seconds;
constexpr uint16_t kDefaultPort = 8448;
constexpr size_t kDestinationsMax = 4;
constexpr size_t kWellKnownsMax = 10'000;
constexpr size_t kWellKnownBytesMax = 50 * 1024;
constexpr Millis kWellKnownTimeout{10'000};
constexpr int kRedirectsMax = 5;
constexpr seconds kKeepDefault{24 * 3600};
constexpr seconds kKeepLongest{48 * 3600};
constexpr seconds kKeepShortest{300};
constexpr seconds kKeepFailure{60};
constexpr seconds kKeepFailureLongest{3600};

std::string without_brackets(std::string_view host) {
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  return std::string(host);
}

// Steps 1 and 2 (for a delegated name 3.1 and 3.2): a name that says all by itself.
std::optional<Destination> direct(const ServerName& server) {
  if (!server.is_ip_literal() && !server.port()) return {};
  const std::string host = without_brackets(server.host());
  return Destination{host, server.port().value_or(kDefaultPort), host, server.str()};
}

// How long a response may be kept, by its Cache-Control.
seconds time_to_keep(const http::ClientResponse& response) {
  const std::string_view control = response.headers.find("Cache-Control");
  if (control.find("no-store") != std::string_view::npos ||
      control.find("no-cache") != std::string_view::npos) {
    return kKeepShortest;
  }
  constexpr std::string_view kMaxAge = "max-age=";
  const size_t place = control.find(kMaxAge);
  if (place == std::string_view::npos) return kKeepDefault;
  const std::string_view digits = control.substr(place + kMaxAge.size());
  int64_t age = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), age);
  if (error == std::errc::result_out_of_range) return kKeepLongest;
  if (error != std::errc()) return kKeepDefault;
  return std::clamp(seconds(std::clamp<int64_t>(age, 0, kKeepLongest.count())), kKeepShortest,
                    kKeepLongest);
}

std::optional<ServerName> delegated_by(const http::ClientResponse& response) {
  if (response.status != 200) return {};
  const auto body = json::parse_object(response.body);
  if (!body.ok()) return {};
  const std::string* name = body->find_string("m.server");
  if (name == nullptr) return {};
  auto server = ServerName::parse(*name);
  return server.ok() ? std::optional(*std::move(server)) : std::nullopt;
}

// RFC 2782: by priority, and within one by chance in proportion to the weight.
std::vector<egress::Service> in_order(std::vector<egress::Service> services, Random& random) {
  std::ranges::sort(services, {},
                    [](const egress::Service& s) { return std::pair(s.priority, s.weight != 0); });
  for (size_t i = 0; i < services.size(); ++i) {
    size_t end = i;
    uint64_t sum = 0;
    for (; end < services.size() && services[end].priority == services[i].priority; ++end)
      sum += services[end].weight;
    uint64_t chosen = random.below(sum + 1);
    size_t pick = i;
    while (pick + 1 < end && services[pick].weight < chosen)
      chosen -= services[pick++].weight;
    std::rotate(services.begin() + static_cast<ptrdiff_t>(i),
                services.begin() + static_cast<ptrdiff_t>(pick),
                services.begin() + static_cast<ptrdiff_t>(pick) + 1);
  }
  return services;
}

}  // namespace

Task<Result<std::vector<Destination>>> Discovery::resolve(ServerName server, egress::Demand demand,
                                                          Millis timeout) {
  if (auto found = direct(server)) co_return std::vector<Destination>(1, *std::move(found));
  const auto deadline = runtime_.clock().steady() + timeout + demand.line_max;
  const Search search{std::move(demand), deadline};
  const std::string host(server.host());
  // Step 3: delegation.
  POLDER_CO_TRY(const auto delegated, co_await well_known(host, search));
  if (!delegated) co_return co_await by_services(host, search);
  if (auto found = direct(*delegated)) co_return std::vector<Destination>(1, *std::move(found));
  co_return co_await by_services(std::string(delegated->host()), search);
}

Task<Result<std::optional<ServerName>>> Discovery::well_known(std::string host, Search search) {
  {
    const base::Lock lock(mutex_);
    const auto known = well_knowns_.find(host);
    const bool fresh =
        known != well_knowns_.end() && known->second.expires > runtime_.clock().steady();
    figures_.count(fresh);
    if (fresh) co_return known->second.delegated;
  }
  const auto response = co_await fetch_well_known(host, std::move(search));
  // That this server had no place for the question says nothing of the answer.
  if (!response.ok() && response.error().code == ErrorCode::kRateLimited)
    co_return response.error();
  std::optional<ServerName> delegated;
  if (response.ok()) delegated = delegated_by(*response);
  remember(host, delegated, response.ok() ? time_to_keep(*response) : kKeepFailure);
  co_return delegated;
}

Task<Result<http::ClientResponse>> Discovery::fetch_well_known(std::string host, Search search) {
  const auto left = std::chrono::floor<Millis>(search.deadline - runtime_.clock().steady());
  egress::EgressRequest request;
  request.demand = std::move(search.demand);
  request.host = std::move(host);
  request.target = "/.well-known/matrix/server";
  request.timeout = std::min(left, kWellKnownTimeout);
  request.body_max = kWellKnownBytesMax;
  request.redirects_max = kRedirectsMax;
  co_return co_await egress_.send(std::move(request));
}

void Discovery::remember(const std::string& host, std::optional<ServerName> delegated,
                         seconds keep) {
  const auto now = runtime_.clock().steady();
  const base::Lock lock(mutex_);
  if (well_knowns_.size() >= kWellKnownsMax) {
    const size_t before = well_knowns_.size();
    std::erase_if(well_knowns_, [&](const auto& entry) { return entry.second.expires <= now; });
    if (well_knowns_.size() >= kWellKnownsMax) well_knowns_.clear();
    figures_.evictions += before - well_knowns_.size();
  }
  WellKnown& entry = well_knowns_[host];
  entry.failures = delegated ? 0 : std::min(entry.failures + 1, 10);
  if (!delegated) keep = std::min(kKeepFailure * (1 << (entry.failures - 1)), kKeepFailureLongest);
  entry.delegated = std::move(delegated);
  entry.expires = now + keep;
}

metrics::CacheFigures Discovery::figures() const {
  const base::Lock lock(mutex_);
  metrics::CacheFigures figures = figures_;
  figures.entries = well_knowns_.size();
  return figures;
}

// Steps 4 to 6, or 3.3 to 3.5 for a delegated name. The certificate must be for the name that was
// looked up: an SRV record proves nothing.
Task<Result<std::vector<Destination>>> Discovery::by_services(std::string host, Search search) {
  for (const std::string_view service : {"_matrix-fed._tcp.", "_matrix._tcp."}) {
    std::string name = std::string(service) + host;
    auto answer = co_await egress_.services(std::move(name), search.demand, search.deadline);
    // That there was no place for the question says nothing of the answer.
    if (!answer.ok() && answer.error().code == ErrorCode::kRateLimited) co_return answer.error();
    // A resolver that fails counts as none: many networks' resolvers know no SRV records.
    if (!answer.ok()) continue;
    std::vector<Destination> found;
    for (const auto& record : in_order(std::move(answer->services), runtime_.random())) {
      if (record.target.empty() || record.target == "." || record.port == 0) continue;
      if (found.size() < kDestinationsMax)
        found.push_back({record.target, record.port, host, host});
    }
    if (found.empty()) co_return fail(ErrorCode::kUnavailable, host + " offers no federation");
    co_return found;
  }
  co_return std::vector<Destination>(1, Destination{host, kDefaultPort, host, host});
}

}  // namespace polder::discovery
