// Transactions: events and ephemeral data from one server to another.
// https://spec.matrix.org/v1.19/server-server-api/#transactions
// Pure; thread-safe.
#pragma once

#include <string>
#include <vector>

#include "homeserver/base/json/value.h"
#include "homeserver/base/values/ids.h"

namespace polder::wire {

inline constexpr size_t kPdusMax = 50;
inline constexpr size_t kEdusMax = 100;

struct Edu {
  std::string type;
  json::Object content;
};

struct OutgoingTransaction {
  ServerName origin;
  int64_t origin_server_ts = 0;
  std::vector<std::string> pdus;  // canonical JSON
  std::vector<Edu> edus;
};
// The body; canonical JSON if the PDUs are.
std::string write_transaction(const OutgoingTransaction& transaction);

struct IncomingTransaction {
  std::vector<std::string> pdus;  // texts; neither format nor signatures are checked
  std::vector<Edu> edus;
};
// EDUs of a wrong shape are left out, so that one of them does not hold up the rest. kTooLarge
// beyond the numbers above, kBadType if the body is no object; kInvalid if a list is none, or
// `origin` is another one; kMalformed.
Result<IncomingTransaction> read_transaction(std::string_view body, const ServerName& origin);

}  // namespace polder::wire
