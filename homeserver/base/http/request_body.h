// What arrives on a connection: the bytes that were read and not yet used, and the body that they
// are part of. Private to this module; used on the connection's shard.
#pragma once

#include <string>

#include "homeserver/base/http/chunked.h"
#include "homeserver/base/http/held_bytes.h"
#include "homeserver/base/http/limits.h"
#include "homeserver/base/http/pace.h"
#include "homeserver/base/http/request_head.h"
#include "homeserver/base/http/router.h"
#include "homeserver/base/http/stream.h"

namespace polder::http {

class Input {
 public:
  // Both outlive it.
  Input(runtime::Runtime& runtime, Stream& stream)
      : runtime_(runtime), stream_(stream), deadline_(runtime, stream) {}

  // Reads more, up to a size; false at the end of the connection. After the timeout the connection
  // is closed. Where it has no buffer it makes one once there is something for it.
  Task<Result<bool>> fill(Millis timeout, size_t max);
  // Sends what is no response.
  Task<Status> say(std::string text, Millis timeout);
  std::string_view bytes() const { return std::string_view(buffer_).substr(used_); }
  void consume(size_t size) { used_ += size; }
  // While a request is answered or waited for there may be nothing to hold, for minutes and on many
  // connections.
  void give_back();

  const Clock& clock() const { return runtime_.clock(); }

 private:
  runtime::Runtime& runtime_;
  Stream& stream_;
  Deadline deadline_;
  std::string buffer_;
  size_t used_ = 0;  // of it
};

// The body of a request whose head was read.
class RequestBody final : public BodySource {
 public:
  // All outlive it. What it gives to a route that does not stream is counted as held, by the share
  // that `held` makes when the first piece comes, as long as the body is there.
  RequestBody(const RequestHead& head, const Exchange& exchange, Input& input,
              const Timeouts& timeouts, std::function<std::unique_ptr<HeldBytes::Share>()> held);

  // kMalformed; kUnavailable if the connection ends; kRateLimited if too much is held already.
  Task<Result<std::optional<std::string>>> next() override;

  // Whether all of it has come.
  bool done() const;
  // Whether what is left of it is little enough to be skipped, so that the connection can go on.
  bool worth_skipping();
  // Takes what is left off the connection and forgets it; false if that cannot be done.
  Task<bool> skip();

 private:
  Task<Result<std::string>> read_piece();
  Status take(std::string& piece);

  Input& input_;
  const Exchange& exchange_;
  const std::function<std::unique_ptr<HeldBytes::Share>()> make_share_;
  std::unique_ptr<HeldBytes::Share> held_;
  Pace pace_;
  const Framing framing_;
  uint64_t left_;  // of kLength
  ChunkedDecoder chunks_;
  bool expects_continue_;
};

// Reads what a peer sends that will be answered no more, for a while: to close while bytes are
// unread would reset the connection, and the answer might be lost.
Task<void> linger(Input& input, const Timeouts& timeouts);

}  // namespace polder::http
