#include "homeserver/base/http/connection.h"

#include <algorithm>
#include <atomic>

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

class Connection {
 public:
  Connection(Stream& stream, const ConnectionContext& context)
      : stream_(stream), context_(context), input_(context.runtime, stream) {}

  Task<void> serve(bool& busy) {
    bool stays = true;
    for (bool first = true; stays && !context_.draining; first = false) {
      Arrived arrived = co_await read_head(input_, context_.timeouts, first);
      if (!arrived.head && !arrived.fault) co_return;
      busy = true;
      if (arrived.fault) {
        co_await refuse(*std::move(arrived.fault));
        co_return;
      }
      stays = co_await answer(std::move(arrived.head));
      busy = false;
    }
  }

 private:
  Task<void> refuse(HeadFault fault) {
    auto held = context_.answers.share(context_.peer, context_.end);
    ResponseWriter writer(context_.runtime, stream_, context_.timeouts, *held);
    const Status written = co_await writer.write(refusal(fault), {.keep_alive = false});
    if (written.ok()) co_await go_away();
  }

  // Gives whether the connection goes on.
  Task<bool> answer(std::unique_ptr<RequestHead> head) {
    Exchange exchange;
    exchange.request = std::move(head->request);
    exchange.served = context_.resources;
    exchange.request.remote_address =
        client_address(context_.peer, exchange.request.headers, context_.trusted_proxies);
    RequestBody body(*head, exchange, input_, context_.timeouts,
                     [&] { return context_.bodies.share(who(exchange), context_.end); });
    exchange.request.body_stream = &body;
    exchange.client_ended = [this] { return stream_.peer_gone(); };
    const bool keep_alive = head->keep_alive;
    const bool http11 = head->http11;
    head.reset();
    input_.give_back();
    Response response = co_await context_.router.handle(exchange);
    co_return co_await send(exchange, body, response, keep_alive, http11);
  }

  // The references outlive it. Apart, so that nothing of it is held while the answer is made.
  Task<bool> send(const Exchange& exchange, RequestBody& body, Response& response, bool keep_alive,
                  bool http11) {
    auto held = context_.answers.share(who(exchange), context_.end);
    if (!held->hold(response.slices_length()))
      response = limited(kSoon, "Too many answers wait to be read");
    // The answer does not wait for what nobody read of the body. If that is little, it does not
    // cost the client its connection.
    const Writing how{
        .head_only = exchange.request.method == Method::kHead,
        .keep_alive = keep_alive && !context_.draining && !response.close && body.worth_skipping(),
        .may_chunk = http11};
    ResponseWriter writer(context_.runtime, stream_, context_.timeouts, *held);
    const Status written = co_await writer.write(response, how);
    if (exchange.answered) exchange.answered();
    if (!written.ok()) co_return false;
    if (how.keep_alive) co_return co_await body.skip();
    if (!body.done()) co_await go_away();
    co_return false;
  }

  // To close while bytes are unread would reset the connection, and the answer might be lost.
  Task<void> go_away() {
    stream_.end_writing();
    co_await linger(input_, context_.timeouts);
  }

  // Whom it counts for what is held.
  std::string who(const Exchange& exchange) const {
    if (!exchange.held_for.empty()) return exchange.held_for;
    const auto address = IpAddress::parse(exchange.request.remote_address);
    if (!address) return context_.peer;
    return address->is_v4() ? address->str() : address->prefix(kNetworkBytesV6 * 8).str();
  }

  Stream& stream_;
  const ConnectionContext& context_;
  Input input_;
};

}  // namespace

Task<void> serve(Stream& stream, const ConnectionContext& context, bool& busy) {
  Connection connection(stream, context);
  co_await connection.serve(busy);
}

}  // namespace polder::http
