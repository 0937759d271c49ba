// The audit log, as operators have it: listed, and kept for as long as they say.
#pragma once

#include <functional>
#include <string>

#include "homeserver/base/runtime/runtime.h"
#include "storage/kv/committer.h"
#include "storage/kv/kv.h"

namespace polder::server {

// Which records are listed; what is empty stands for all.
struct AuditFilter {
  kv::Position after = 0;
  std::string actor = {}, act = {}, room = {};
  bool refused = false;  // only refusals
  size_t limit = 0;      // 0: all
};

// Oldest first, each as one line of JSON.
Status list_audit(const kv::Database& database, const AuditFilter& filter,
                  const std::function<void(const std::string& line)>& take);

struct AuditKeep {
  Millis age{0};       // older ones go; 0: none is too old
  uint64_t bytes = 0;  // of all; beyond, the oldest go; 0: without limit
};

inline constexpr const char* kAuditJob = "audit_retention";

// Erases what is not to be kept. Lives on the shard that runs it; outlives its tasks.
class AuditRetention {
 public:
  AuditRetention(runtime::Runtime& runtime, kv::Database& database, kv::Committer& committer,
                 AuditKeep keep)
      : runtime_(runtime), database_(database), committer_(committer), keep_(keep) {}

  // Once at first, and then after each pause, until the job is asked to stop.
  Task<void> run(Millis pause);
  // How many records went.
  Task<Result<uint64_t>> pass();

 private:
  // Records after a position, in their order.
  struct Stretch {
    kv::Position to = 0;
    uint64_t records = 0;
    uint64_t bytes = 0;
    bool more = false;  // there may be others behind it
  };
  Task<Status> pass_and_tell();
  Task<Result<uint64_t>> bytes_of_all();
  // Those that are too old, or whose end leaves at least so many bytes too much.
  Result<Stretch> find_old(kv::Position after, int64_t before_ms, uint64_t too_much) const;

  runtime::Runtime& runtime_;
  kv::Database& database_;
  kv::Committer& committer_;
  const AuditKeep keep_;
};

}  // namespace polder::server
