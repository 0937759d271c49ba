// Writes responses. Private to this module.
#pragma once

#include "homeserver/base/http/held_bytes.h"
#include "homeserver/base/http/limits.h"
#include "homeserver/base/http/message.h"
#include "homeserver/base/http/pace.h"
#include "homeserver/base/http/stream.h"

namespace polder::http {

// How a response is put onto the connection.
struct Writing {
  bool head_only = false;  // what was asked for with HEAD
  bool keep_alive = true;  // the connection goes on
  bool may_chunk = true;   // the client knows chunks
};

// One response's way out; used on the connection's shard. Whoever takes fewer bytes a second than
// they have to is closed.
class ResponseWriter {
 public:
  // All outlive it; what the response holds besides its slices is counted in the share.
  ResponseWriter(runtime::Runtime& runtime, Stream& stream, const Timeouts& timeouts,
                 HeldBytes::Share& held)
      : runtime_(runtime),
        stream_(stream),
        deadline_(runtime, stream),
        pace_(timeouts.pause, timeouts.bytes_per_second),
        held_(held) {}

  // kUnavailable if the connection broke or was closed.
  Task<Status> write(const Response& response, Writing how);

 private:
  Task<Status> write_pieces(std::vector<std::string_view> pieces);
  Task<Status> write_stream(BodySource& source, bool chunked);
  std::string head_of(const Response& response, bool keep_alive,
                      std::optional<uint64_t> length) const;

  runtime::Runtime& runtime_;
  Stream& stream_;
  Deadline deadline_;
  Pace pace_;
  HeldBytes::Share& held_;
};

}  // namespace polder::http
