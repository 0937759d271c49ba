// The push rules, which are told as account data of their own.
// https://spec.matrix.org/v1.19/client-server-api/#push-rules-events
#pragma once

#include "homeserver/sync/classic/account_data_stream.h"

namespace polder::sync {

class PushRuleStream final : public Stream {
 public:
  // Their changes are among those of account data, which outlives it.
  explicit PushRuleStream(const AccountDataStream& account_data) : account_data_(account_data) {}

  Result<bool> write(const Reading& reading, Part part, json::Writer& writer) override;

 private:
  const AccountDataStream& account_data_;
};

}  // namespace polder::sync
