// Audit records: what was refused by the policy, and what only a privilege permitted. They are
// written with the change that they tell of, in its batch.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/kv/kv.h"

namespace polder::stores {

struct AuditRecord {
  kv::Position position = 0;  // as read
  int64_t at_ms = 0;          // wall time
  std::string actor_kind;     // "client", "administrator", "application_service", "server"
  std::string actor;          // in whose name: a user's id, a server's name
  std::string device;         // of a client
  std::string act;            // the point at which the policy was asked
  bool permitted = false;
  std::string by;      // the privilege that permitted it, or the rule that refused
  std::string room;    // its id; empty: none
  std::string target;  // whom or what it was done to: a user, an event
  std::string event;   // that came of it; empty: none
  // Refusals before this one that were not recorded, because there were too many.
  uint64_t left_out = 0;
};

void put_audit(kv::Batch& batch, const AuditRecord& record);
// Those with positions after `after`, oldest first, with the bytes of their rows, until `visit`
// says false.
Status for_each_audit(const kv::Snapshot& snapshot, kv::Position after,
                      const std::function<bool(const AuditRecord&, size_t bytes)>& visit);
// The same, at most so many.
Result<std::vector<AuditRecord>> read_audit(const kv::Snapshot& snapshot, kv::Position after,
                                            size_t limit);
// Those with positions after `after` up to `to`.
void erase_audit(kv::Batch& batch, kv::Position after, kv::Position to);

}  // namespace polder::stores
