#include "homeserver/base/http/connection.h"

#include <algorithm>
#include <boost/asio/post.hpp>

#include "homeserver/base/http/client_address.h"
#include "homeserver/base/http/request_body.h"
#include "homeserver/base/http/request_head.h"
#include "homeserver/base/http/response_writer.h"

namespace polder::http {
namespace {

constexpr size_t kNetworkBytesV6 = 8;  // what one subscriber has at least

// One of the two, or neither if the connection ended or waited too long. By pointer: a request may
// wait for minutes, and what was read must not stay in every task on its way.
struct Arrived {
  std::unique_ptr<RequestHead> head;
  std::unique_ptr<HeadFault> fault;
};

// What is refused of a request whose head is well formed.
std::unique_ptr<HeadFault> not_taken(const RequestHead& head) {
  const std::string_view coding = head.request.headers.find("Content-Encoding");
  if (coding.empty() || coding == "identity") return nullptr;
  return std::make_unique<HeadFault>(415, "encoded request bodies are not taken");
}

Arrived judged(std::variant<RequestHead, HeadFault> parsed) {
  if (auto* fault = std::get_if<HeadFault>(&parsed))
    return {nullptr, std::make_unique<HeadFault>(std::move(*fault))};
  auto head = std::make_unique<RequestHead>(std::get<RequestHead>(std::move(parsed)));
  auto fault = not_taken(*head);
  return {std::move(head), std::move(fault)};
}

// The next request's head, or what is wrong with it. From its first byte on there is one deadline
// for all of it, or who sends a byte now and then would hold the connection for ever; the first
// request's runs from the beginning.
Task<Arrived> read_head(Input& input, const Timeouts& timeouts, bool first) {
  HeadEnd end;
  const auto begun_at = input.clock().steady();
  auto until = begun_at + (first ? timeouts.head : timeouts.idle);
  bool begun = first;
  for (;;) {
    const HeadEnd::Found found = end.look(input.bytes());
    if (found == HeadEnd::Found::kFault) co_return judged(end.fault());
    if (found == HeadEnd::Found::kWhole) {
      Arrived arrived = judged(parse_head(input.bytes().substr(0, end.size())));
      input.consume(end.size());
      co_return arrived;
    }
    const auto now = input.clock().steady();
    if (end.begun() && !std::exchange(begun, true)) until = now + timeouts.head;
    const auto left = std::chrono::ceil<Millis>(until - now);
    if (left <= Millis(0)) co_return Arrived();
    const auto more = co_await input.fill(left, kHeadReadBytes);
    if (!more.ok() || !*more) co_return Arrived();
  }
}

Response refusal(const HeadFault& fault) {
  const bool large = fault.status == 414 || fault.status == 431;
  return error_response(fault.status, large ? "M_TOO_LARGE" : "M_UNKNOWN", fault.reason);
}

}  // namespace

// A request, until its answer has been sent.
struct Connection::Asked {
  Exchange exchange;
  std::optional<RequestBody> body;
  std::optional<Response> answer;
  bool keep_alive = false;
  bool http11 = false;
};

Connection::Connection(std::unique_ptr<Stream> stream, const ConnectionContext& context,
                       const ListenerContext& listener, std::string peer)
    : stream_(std::move(stream)),
      context_(context),
      listener_(listener),
      peer_(std::move(peer)),
      input_(context.runtime, *stream_) {}

Connection::~Connection() = default;

Task<void> Connection::serve() {
  const Router& router = context_.router;
  for (bool first = true; !context_.draining; first = false) {
    const std::unique_ptr<Asked> asked = co_await next(first);
    if (!asked) co_return;
    Exchange& exchange = asked->exchange;
    asked->answer = co_await router.prepare(exchange);
    input_.give_back();
    if (!asked->answer)
      asked->answer = router.conclude(exchange, co_await exchange.route->handler(exchange));
    router.finish(exchange, *asked->answer);
    if (!co_await send(*asked)) co_return;
    busy_ = false;
  }
}

// Nothing if the connection ends with it.
Task<std::unique_ptr<Connection::Asked>> Connection::next(bool first) {
  input_.give_back();
  Arrived arrived = co_await read_head(input_, context_.timeouts, first);
  if (!arrived.head && !arrived.fault) co_return nullptr;
  busy_ = true;
  if (!arrived.fault) co_return taken(*arrived.head);
  co_await refuse(*std::move(arrived.fault));
  co_return nullptr;
}

std::unique_ptr<Connection::Asked> Connection::taken(RequestHead& head) {
  auto asked = std::make_unique<Asked>();
  Exchange& exchange = asked->exchange;
  exchange.request = std::move(head.request);
  exchange.served = listener_.resources;
  exchange.request.remote_address =
      client_address(peer_, exchange.request.headers, listener_.trusted_proxies);
  asked->body.emplace(head, exchange, input_, context_.timeouts,
                      [this, of = &exchange] { return context_.bodies.share(who(*of), end()); });
  exchange.request.body_stream = &*asked->body;
  exchange.client_ended = [this] { return stream_->peer_gone(); };
  asked->keep_alive = head.keep_alive;
  asked->http11 = head.http11;
  return asked;
}

Task<void> Connection::refuse(HeadFault fault) {
  auto held = context_.answers.share(peer_, end());
  ResponseWriter writer(context_.runtime, *stream_, context_.timeouts, *held);
  const Status written = co_await writer.write(refusal(fault), {.keep_alive = false});
  if (written.ok()) co_await go_away();
}

// Gives whether the connection goes on.
Task<bool> Connection::send(Asked& asked) {
  Response& response = *asked.answer;
  auto held = context_.answers.share(who(asked.exchange), end());
  if (!held->hold(response.slices_length()))
    response = limited(kSoon, "Too many answers wait to be read");
  // The answer does not wait for what nobody read of the body. If that is little, it does not
  // cost the client its connection.
  const Writing how{.head_only = asked.exchange.request.method == Method::kHead,
                    .keep_alive = asked.keep_alive && !context_.draining && !response.close &&
                                  asked.body->worth_skipping(),
                    .may_chunk = asked.http11};
  ResponseWriter writer(context_.runtime, *stream_, context_.timeouts, *held);
  const Status written = co_await writer.write(response, how);
  if (asked.exchange.answered) asked.exchange.answered();
  if (!written.ok()) co_return false;
  if (how.keep_alive) co_return co_await asked.body->skip();
  if (!asked.body->done()) co_await go_away();
  co_return false;
}

// To close while bytes are unread would reset the connection, and the answer might be lost.
Task<void> Connection::go_away() {
  stream_->end_writing();
  co_await linger(input_, context_.timeouts);
}

// Whom it counts for what is held.
std::string Connection::who(const Exchange& exchange) const {
  if (!exchange.held_for.empty()) return exchange.held_for;
  const auto address = IpAddress::parse(exchange.request.remote_address);
  if (!address) return peer_;
  return address->is_v4() ? address->str() : address->prefix(kNetworkBytesV6 * 8).str();
}

// Closes the connection, from any thread.
std::function<void()> Connection::end() {
  runtime::Runtime& runtime = context_.runtime;
  return [executor = runtime.shard(runtime.current_shard()), weak = weak_from_this()] {
    boost::asio::post(executor, [weak] {
      if (const auto open = weak.lock()) open->stream_->close();
    });
  };
}

}  // namespace polder::http
