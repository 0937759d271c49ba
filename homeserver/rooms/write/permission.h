// Where the writer of rooms asks the policy (homeserver/protocol/policy): with facts from the
// room's turn, so that what is decided and what is written agree.
#pragma once

#include <array>
#include <map>
#include <string>
#include <string_view>

#include "homeserver/base/runtime/runtime.h"
#include "homeserver/base/values/mutex.h"
#include "homeserver/protocol/policy/decide.h"
#include "homeserver/rooms/model/room_view.h"
#include "storage/kv/committer.h"
#include "storage/stores/audit/audit_rows.h"
#include "storage/stores/base/names.h"

namespace polder::rooms {

// Whether the act needs no membership: entering a room, and leaving one.
bool is_own_entry_or_exit(policy::Point point);

// An act that an event stands for, with what was decided. All live as long as the event.
struct Decided {
  policy::Act act;
  policy::Actor actor;
  policy::Decision decision;
};

// What the policy says of an event that a local user sends, by the state that it is to be built on.
// kForbidden (not_in_room()) if the sender would have to be in the room and is not: the policy is
// asked about members only.
Result<Decided> decide(const RoomView& view, stores::StateRoot state, const ServerName& own_name,
                       const events::Event& event, const policy::Actor& actor);

// The same of an act in a room of which nothing is known here.
Result<Decided> decide_outside(const stores::Names& names, const kv::Snapshot& snapshot,
                               const ServerName& own_name, policy::Act act,
                               const policy::Actor& actor, const UserId& user, policy::Facts facts);

// Writes audit records. Thread-safe.
class Audit {
 public:
  Audit(runtime::Runtime& runtime, kv::Committer& committer)
      : runtime_(runtime), committer_(committer) {}

  // What only a privilege permitted, with the event that came of it, if any; nothing else is
  // recorded of what is permitted.
  void add_permitted(const Decided& decided, std::string event, kv::Batch& batch) const;
  // In a batch of its own that nobody waits for. Of many refusals in a short time some are counted
  // only, so that nobody fills the disk by asking for what is refused. Nobody keeps what others are
  // refused off the record: neither one actor, of whom a part is recorded, nor strangers, who are
  // counted apart for each point.
  void add_refused(const Decided& decided);

  // Since the start, by the rule that refused.
  uint64_t refusals(std::string_view rule) const;

 private:
  // Of the refusals at one point where strangers are, or at all others.
  struct Budget {
    int64_t minute = 0;
    size_t in_minute = 0;                                      // recorded
    uint64_t left_out = 0;                                     // since the last record
    std::map<std::string, size_t, std::less<>> of_actor = {};  // of those recorded in the minute
  };

  stores::AuditRecord record_of(const Decided& decided) const;
  // False if it is counted only.
  bool take_place(policy::Point point, std::string_view rule, stores::AuditRecord& record);
  static bool take_place_in(Budget& budget, size_t most, size_t most_of_actor,
                            const stores::AuditRecord& record);

  runtime::Runtime& runtime_;
  kv::Committer& committer_;
  mutable base::Mutex mutex_;
  std::map<std::string_view, uint64_t> refusals_ GUARDED_BY(mutex_);  // by rule
  std::array<Budget, policy::kPoints> budgets_ GUARDED_BY(mutex_);
};

}  // namespace polder::rooms
