// A connection's bytes, whatever carries them: the one place where TCP and TLS differ. Used on the
// shard on which it was made.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "homeserver/base/http/message.h"
#include "homeserver/base/runtime/runtime.h"

namespace polder::http {

class Stream {
 public:
  virtual ~Stream() = default;
  // Waits, without a buffer, until there may be something to read, or the end. kUnavailable as
  // below.
  virtual Task<Status> readable() = 0;
  // At least one byte, at most the buffer; 0 at the end. kUnavailable if the connection broke or
  // closed.
  virtual Task<Result<size_t>> read_some(std::span<char> buffer) = 0;
  // All of the pieces; they stay valid until it returns.
  virtual Task<Status> write(std::vector<std::string_view> pieces) = 0;
  // What must be agreed upon before the first byte. kUnavailable.
  virtual Task<Status> handshake() { co_return Status(); }
  virtual Task<void> shutdown() = 0;  // says goodbye where the transport has a way to
  virtual void end_writing() {}       // says so at once, where that can be said on its own
  virtual void close() = 0;           // at once; what is under way fails
  // Whether the connection has broken: nothing that is written reaches the peer. Quick.
  //
  // A peer that has ended its own side only is not gone. Programs and proxies do so once they have
  // said all, and take what is answered (a half-closed connection, RFC 9293, section 3.6); that
  // others who do so have closed both sides shows in the answer to the first write only. To wait
  // for those costs what a peer costs who stays: a place among the connections, for no longer than
  // the wait that it asked for. Who ended within a request is not waited for (request_body.h).
  virtual bool peer_gone() const { return false; }
};

// Closes the stream when the time is over, unless it is stopped or set again first.
class Deadline {
 public:
  Deadline(runtime::Runtime& runtime, Stream& stream) : runtime_(runtime), stream_(stream) {}
  ~Deadline() { stop(); }
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;
  void set(Millis time);
  void stop();
  bool expired() const { return *expired_; }

 private:
  runtime::Runtime& runtime_;
  Stream& stream_;
  std::unique_ptr<runtime::Timer> timer_;
  std::shared_ptr<bool> expired_ = std::make_shared<bool>(false);
};

}  // namespace polder::http
