#include "tests/simulation/network.h"

#include <algorithm>

#include "homeserver/base/values/disk.h"
#include "homeserver/server/testing/client.h"

namespace polder::simulation {
namespace {

constexpr uint16_t kPort = 8448;

// A body as it comes over a connection: in pieces.
class ArrivingBody final : public http::BodySource {
 public:
  explicit ArrivingBody(std::string text) : text_(std::move(text)) {}
  Task<Result<std::optional<std::string>>> next() override {
    constexpr size_t kPieceBytes = 16 << 10;
    if (at_ == text_.size()) co_return std::optional<std::string>();
    std::string piece = text_.substr(at_, kPieceBytes);
    at_ += piece.size();
    co_return std::optional(std::move(piece));
  }

 private:
  std::string text_;
  size_t at_ = 0;
};

std::pair<std::string, std::string> in_order(const std::string& one, const std::string& other) {
  return std::minmax(one, other);
}

}  // namespace

struct Network::Host {
  runtime::Runtime* runtime = nullptr;
  const http::Router* router = nullptr;
};

// One request and what becomes of it.
struct Network::Flight {
  uint64_t number = 0;
  std::string from;
  std::string to;
  http::ClientRequest request;
  bool arrived = false;
  std::optional<Result<http::ClientResponse>> outcome;
  std::function<void()> resume;
};

class Network::Way final : public http::Transport {
 public:
  Way(Network& network, std::string server) : network_(network), server_(std::move(server)) {}

  Task<Result<http::ClientResponse>> send(http::ClientRequest request) override {
    auto flight = std::make_shared<Flight>();
    flight->from = server_;
    flight->to = request.tls_name;
    flight->request = std::move(request);
    auto start = [this, flight](std::function<void()> resume) {
      flight->resume = std::move(resume);
      network_.launch(flight);
    };
    co_await runtime::internal::suspend(std::move(start));
    co_return *std::move(flight->outcome);
  }

 private:
  Network& network_;
  const std::string server_;
};

// Every name has an address, whether a server answers there or not; nobody has services.
class Network::Names final : public egress::Resolver {
 public:
  Task<Result<egress::Addresses>> addresses(std::string host) override {
    // The request goes by the name that its certificate must have; each name is a host of its own.
    uint32_t sum = 0;
    for (const char c : host)
      sum = sum * 31 + static_cast<uint8_t>(c);
    const std::string address =
        "9.9." + std::to_string(sum / 256 % 256) + "." + std::to_string(sum % 256);
    co_return egress::Addresses{{address}, std::chrono::seconds(300)};
  }
  Task<Result<egress::Services>> services(std::string name) override {
    co_return fail(ErrorCode::kNotFound, "no such service: " + name);
  }
};

Network::Network(runtime::Simulation& simulation)
    : simulation_(simulation), names_(std::make_unique<Names>()) {}

Network::~Network() {
  *alive_ = false;
}

http::Transport& Network::transport(const std::string& server) {
  auto& way = ways_[server];
  if (!way) way = std::make_unique<Way>(*this, server);
  return *way;
}

egress::Resolver& Network::resolver() {
  return *names_;
}

void Network::attach(const std::string& server, runtime::Runtime& runtime,
                     const http::Router& router) {
  hosts_[server] = {&runtime, &router};
}

void Network::detach(const std::string& server) {
  hosts_.erase(server);
  const auto flights = flights_;
  for (const auto& [number, flight] : flights) {
    if (flight->from == server) {
      flights_.erase(number);
      flight->resume = nullptr;
    } else if (flight->to == server && flight->arrived) {
      finish_later(flight, fail(ErrorCode::kUnavailable, "the connection was reset"));
    }
  }
}

void Network::cut(const std::string& one, const std::string& other) {
  cuts_.insert(in_order(one, other));
}

void Network::mend(const std::string& one, const std::string& other) {
  cuts_.erase(in_order(one, other));
}

bool Network::is_cut(const std::string& one, const std::string& other) const {
  return cuts_.contains(in_order(one, other));
}

Millis Network::delay() {
  const auto spread =
      static_cast<uint64_t>((conditions_.delay_max - conditions_.delay_min).count());
  return conditions_.delay_min + Millis(simulation_.random().below(spread + 1));
}

void Network::launch(const FlightPtr& flight) {
  flight->number = ++launched_;
  flights_[flight->number] = flight;
  simulation_.trace("request " + flight->from + ">" + flight->to + " " + flight->request.target +
                    " " + flight->request.body);
  const auto alive = alive_;
  simulation_.after(flight->request.timeout, [this, alive, flight] {
    if (*alive) finish(flight, fail(ErrorCode::kTimeout, "no answer in time"));
  });
  if (flight->request.port != kPort || !flight->request.tls) {
    finish_later(flight, fail(ErrorCode::kUnavailable, "the connection was refused"));
    return;
  }
  if (chance(conditions_.request_lost)) return;
  const int copies = chance(conditions_.repeated) ? 2 : 1;
  for (int i = 0; i < copies; ++i) {
    simulation_.after(delay(), [this, alive, flight] {
      if (*alive) arrive(flight);
    });
  }
}

void Network::arrive(const FlightPtr& flight) {
  // What was sent arrives, even if its sender has ended or given up meanwhile.
  if (is_cut(flight->from, flight->to)) return;
  const auto host = hosts_.find(flight->to);
  if (host == hosts_.end()) {
    finish_later(flight, fail(ErrorCode::kUnavailable, "the connection was refused"));
    return;
  }
  flight->arrived = true;
  runtime::Runtime& runtime = *host->second.runtime;
  runtime::spawn(runtime, runtime.shard(0), "request", serve(flight, *host->second.router));
}

Task<void> Network::serve(FlightPtr flight, const http::Router& router) {
  http::Exchange exchange;
  exchange.served.set(static_cast<size_t>(http::Resource::kFederation));
  exchange.served.set(static_cast<size_t>(http::Resource::kMedia));
  exchange.request.method = flight->request.method;
  exchange.request.remote_address = flight->from;
  exchange.request.headers = flight->request.headers;
  exchange.request.headers.set("Host", flight->request.host);
  ArrivingBody body(flight->request.body);
  exchange.request.body_stream = &body;
  http::ClientResponse response;
  if (!http::parse_target(flight->request.target, exchange.request).ok()) {
    response.status = 400;
  } else {
    http::Response made = co_await router.handle(exchange);
    response.body = co_await server::body_of(made);
    response.status = made.status;
    response.headers = std::move(made.headers);
  }
  const auto distortion = distortions_.find(flight->to);
  if (distortion != distortions_.end()) {
    const base::DiskAllowed allowed;  // it is the simulation that looks, and no part of the server
    distortion->second(flight->from, flight->request, response);
  }
  answer(flight, std::move(response));
}

void Network::answer(const FlightPtr& flight, http::ClientResponse response) {
  if (chance(conditions_.answer_lost)) return;
  const auto alive = alive_;
  auto shared = std::make_shared<http::ClientResponse>(std::move(response));
  simulation_.after(delay(), [this, alive, flight, shared] {
    if (!*alive || is_cut(flight->from, flight->to)) return;
    if (shared->body.size() > flight->request.body_max) {
      finish(flight, fail(ErrorCode::kTooLarge, "the answer is too large"));
    } else {
      finish(flight, std::move(*shared));
    }
  });
}

void Network::finish(const FlightPtr& flight, Result<http::ClientResponse> outcome) {
  if (flights_.erase(flight->number) == 0) return;
  simulation_.trace("outcome " + flight->from + "<" + flight->to + " " +
                    (outcome.ok() ? std::to_string(outcome->status) + " " + outcome->body
                                  : outcome.error().message));
  flight->outcome.emplace(std::move(outcome));
  const auto resume = std::exchange(flight->resume, nullptr);
  resume();
}

void Network::finish_later(const FlightPtr& flight, Result<http::ClientResponse> outcome) {
  const auto alive = alive_;
  simulation_.after(delay(), [this, alive, flight, outcome = std::move(outcome)] {
    if (*alive) finish(flight, outcome);
  });
}

}  // namespace polder::simulation
