#include "homeserver/base/http/router.h"

#include <array>
#include <cstdlib>

#include "homeserver/base/http/errors.h"
#include "homeserver/base/json/write.h"
#include "homeserver/base/values/bytes.h"

namespace polder::http {

// One path segment: literal children by name, at most one parameter.
struct Router::Node {
  std::map<std::string, std::unique_ptr<Node>, std::less<>> literals;
  std::unique_ptr<Node> parameter;
  std::map<Method, const Route*> routes;

  // The names of a route's parameters are the route's, not the node's.

  // RFC 9110, section 10.2.1.
  std::string methods() const {
    std::string list(to_string(Method::kOptions));
    for (const auto& [method, route] : routes)
      list.append(", ").append(to_string(method)).append(method == Method::kGet ? ", HEAD" : "");
    return list;
  }
};

namespace {

constexpr size_t kSegmentsMax = 16;

std::vector<std::string_view> split(std::string_view path) {
  std::vector<std::string_view> segments;
  size_t start = 1;
  while (start <= path.size()) {
    const size_t slash = std::min(path.find('/', start), path.size());
    segments.push_back(path.substr(start, slash - start));
    start = slash + 1;
  }
  return segments;
}

bool is_parameter(std::string_view segment) {
  return segment.starts_with('{') && segment.ends_with('}');
}

// https://spec.matrix.org/v1.19/client-server-api/#web-browser-clients
void add_cors(Response& response) {
  response.headers.set("Access-Control-Allow-Origin", "*");
  response.headers.set("Access-Control-Allow-Methods", "GET, POST, PUT, DELETE, OPTIONS");
  response.headers.set("Access-Control-Allow-Headers",
                       "X-Requested-With, Content-Type, Authorization");
}

bool for_browsers(const Exchange& exchange) {
  return exchange.route == nullptr || exchange.route->resource == Resource::kClient ||
         exchange.route->resource == Resource::kMedia;
}

}  // namespace

Response error_response(int status, std::string_view errcode, std::string_view error,
                        std::optional<Millis> retry_after) {
  std::string text;
  json::Writer writer(text);
  writer.begin_object().member("errcode", errcode).member("error", error);
  if (retry_after) writer.member("retry_after_ms", retry_after->count());
  writer.end_object();
  return Response::json(status, std::move(text));
}

std::string_view to_string(Authentication authentication) {
  switch (authentication) {
    case Authentication::kNone:
      return "none";
    case Authentication::kAccessToken:
      return "user";
    case Authentication::kOptionalAccessToken:
      return "user_if_any";
    case Authentication::kAdmin:
      return "administrator";
    case Authentication::kServer:
      return "server";
  }
  return "unknown";
}

Resource resource_of(std::string_view path) {
  struct Prefix {
    std::string_view begins;
    Resource resource;
  };
  constexpr std::array<Prefix, 8> kPrefixes = {{
      {"/_polder/admin/", Resource::kAdmin},
      {"/_synapse/admin/", Resource::kAdmin},
      {"/_matrix/federation/", Resource::kFederation},
      {"/_matrix/key/", Resource::kFederation},
      {"/_matrix/media/", Resource::kMedia},
      {"/_matrix/client/v1/media/", Resource::kMedia},
      {"/metrics", Resource::kMetrics},
      {"/health", Resource::kHealth},
  }};
  const auto found = std::ranges::find_if(
      kPrefixes, [&](const Prefix& prefix) { return path.starts_with(prefix.begins); });
  return found != kPrefixes.end() ? found->resource : Resource::kClient;
}

Router::Router() : root_(std::make_unique<Node>()) {}
Router::~Router() = default;

void Router::add(Route route) {
  Node* node = root_.get();
  for (const std::string_view segment : split(route.path)) {
    auto& next = is_parameter(segment) ? node->parameter : node->literals[std::string(segment)];
    if (!next) next = std::make_unique<Node>();
    node = next.get();
  }
  route.resource = resource_of(route.path);
  routes_.push_back(std::make_unique<Route>(std::move(route)));
  if (!node->routes.emplace(routes_.back()->method, routes_.back().get()).second) std::abort();
}

std::vector<const Route*> Router::routes() const {
  std::vector<const Route*> all;
  for (const auto& route : routes_)
    all.push_back(route.get());
  return all;
}

// Literal segments win over parameters, also where that means to go back.
const Router::Node* Router::find(std::string_view path) const {
  if (!path.starts_with('/')) return nullptr;
  const auto segments = split(path);
  if (segments.size() > kSegmentsMax) return nullptr;
  struct Choice {
    const Node* node;
    size_t depth;
    bool literal_tried;
  };
  std::vector<Choice> choices{{root_.get(), 0, false}};
  while (!choices.empty()) {
    Choice& choice = choices.back();
    if (choice.depth == segments.size()) {
      if (!choice.node->routes.empty()) return choice.node;
      choices.pop_back();
      continue;
    }
    const std::string_view segment = segments[choice.depth];
    const size_t depth = choice.depth + 1;
    if (!std::exchange(choice.literal_tried, true)) {
      const auto literal = choice.node->literals.find(segment);
      if (literal != choice.node->literals.end())
        choices.push_back({literal->second.get(), depth, false});
      continue;
    }
    const Node* parameter = choice.node->parameter.get();
    choices.pop_back();
    if (parameter != nullptr && !segment.empty()) choices.push_back({parameter, depth, false});
  }
  return nullptr;
}

namespace {

// Binds the route's parameters to the decoded segments of the path.
Status bind_parameters(const Route& route, Request& request) {
  const auto names = split(route.path);
  const auto values = split(request.path);
  request.path_parameters.clear();
  for (size_t i = 0; i < names.size(); ++i) {
    if (!is_parameter(names[i])) continue;
    POLDER_TRY(std::string value, base::percent_decode(values[i]));
    if (!base::is_utf8(value)) return fail(ErrorCode::kMalformed, "the path is not UTF-8");
    request.path_parameters.emplace_back(names[i].substr(1, names[i].size() - 2), std::move(value));
  }
  return {};
}

}  // namespace

namespace {

Response refused_body(const Error& error) {
  Response response = error.code == ErrorCode::kTooLarge
                          ? error_response(413, "M_TOO_LARGE", "The request body is too large")
                      : error.code == ErrorCode::kRateLimited
                          ? to_response(error)
                          : error_response(400, "M_UNKNOWN", error.message);
  response.close = true;  // the rest of the body is not read
  return response;
}

}  // namespace

Task<std::optional<Response>> read_body(Exchange& exchange) {
  const Route& route = *exchange.route;
  Request& request = exchange.request;
  if (route.body_max == 0 || route.body == Body::kStream || request.body_stream == nullptr)
    co_return std::nullopt;
  const bool announced_large = request.body_length().value_or(0) > route.body_max;
  BodySource& stream = *std::exchange(request.body_stream, nullptr);
  Result<std::string> body = fail(ErrorCode::kTooLarge, "the body is too large");
  if (!announced_large) body = co_await read_all(stream, route.body_max);
  if (body.ok()) {
    request.body = *std::move(body);
    co_return std::nullopt;
  }
  co_return refused_body(body.error());
}

void Router::add_alias(std::string prefix, std::string stands_for) {
  aliases_.emplace_back(std::move(prefix), std::move(stands_for));
}

// The answer to what no route is for.
std::optional<Response> Router::route(Exchange& exchange) const {
  Request& request = exchange.request;
  for (const auto& [prefix, stands_for] : aliases_) {
    if (request.path.starts_with(prefix)) request.path.replace(0, prefix.size(), stands_for);
  }
  const Node* node = find(request.path);
  if (request.method == Method::kOptions) {
    Response response;
    response.status = 204;
    return response;
  }
  const Method method = request.method == Method::kHead ? Method::kGet : request.method;
  const auto found =
      node != nullptr ? node->routes.find(method) : decltype(node->routes.find(method))();
  // All routes of a path are of one resource.
  const bool known_path =
      node != nullptr &&
      exchange.served[static_cast<size_t>(node->routes.begin()->second->resource)];
  if (!known_path) return error_response(404, "M_UNRECOGNIZED", "Unrecognized request");
  if (found == node->routes.end()) {
    Response response = error_response(405, "M_UNRECOGNIZED", "Method not allowed here");
    response.headers.set("Allow", node->methods());
    return response;
  }
  const Route& route = *found->second;
  if (const Status bound = bind_parameters(route, request); !bound.ok())
    return error_response(400, "M_INVALID_PARAM", bound.error().message);
  exchange.route = &route;
  return std::nullopt;
}

Task<std::optional<Response>> Router::prepare(Exchange& exchange) const {
  std::optional<Response> answer = route(exchange);
  if (!answer && before_) answer = co_await before_(exchange);
  if (!answer) answer = co_await read_body(exchange);
  co_return answer;
}

Response Router::conclude(Exchange& exchange, Result<Response> given) const {
  exchange.call = nullptr;
  exchange.place = nullptr;
  if (exchange.route->conclude) return exchange.route->conclude(exchange, std::move(given));
  return given.ok() ? *std::move(given) : to_response(given.error());
}

void Router::finish(const Exchange& exchange, Response& answer) const {
  if (exchange.route != nullptr && after_) after_(exchange, answer);
  if (for_browsers(exchange)) add_cors(answer);
}

Task<Response> Router::handle(Exchange& exchange) const {
  std::optional<Response> answer = co_await prepare(exchange);
  if (!answer) answer = conclude(exchange, co_await exchange.route->handler(exchange));
  finish(exchange, *answer);
  co_return *std::move(answer);
}

}  // namespace polder::http
