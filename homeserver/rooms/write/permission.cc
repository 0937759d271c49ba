#include "homeserver/rooms/write/permission.h"

#include "homeserver/protocol/dag/power_levels.h"
#include "homeserver/rooms/model/refusals.h"
#include "storage/stores/rooms/event_rows.h"
#include "storage/stores/users/user_rows.h"

namespace polder::rooms {
namespace {

using policy::Point;

constexpr size_t kRefusalsPerMinute = 600;
constexpr size_t kRefusalsOfActor = 60;
constexpr size_t kStrangersPerMinute = 10;  // at each of their points
constexpr size_t kStrangersOfActor = 3;     // of those who say who they are
constexpr int64_t kMinuteMs = 60'000;

// Who is refused there may be anybody.
bool is_strangers(Point point) {
  return point == Point::kRegister || point == Point::kLogin || point == Point::kDownload ||
         point == Point::kFederateIn || point == Point::kFederateOut;
}

policy::Act act_of(const events::Event& event) {
  const auto redacts = event.redacts();
  policy::EventShape shape;
  shape.sender = event.sender().view();
  shape.type = event.type();
  if (event.state_key()) shape.state_key = *event.state_key();
  shape.membership = event.membership();
  if (redacts) shape.redacts = redacts->view();
  return policy::act_of(event.room_id().view(), shape);
}

// A client is the sender's own, if it does not say whose.
policy::Actor named(policy::Actor actor, const UserId& sender) {
  auto* client = std::get_if<policy::Client>(&actor);
  if (client != nullptr && client->user.view().empty()) client->user = sender;
  return actor;
}

Result<std::optional<policy::Account>> account_of(const stores::Names& names,
                                                  const kv::Snapshot& snapshot,
                                                  const ServerName& own_name, const UserId& user) {
  std::optional<policy::Account> account;
  if (user.server() != own_name.view()) return account;
  POLDER_TRY(const auto number, names.find(stores::NameKind::kUser, user.view()));
  if (!number) return account;
  POLDER_TRY(const auto row, stores::read_account(snapshot, *number));
  if (row) account = policy::Account{row->guest, row->deactivated, row->erased, row->admin};
  return account;
}

Result<bool> has_redact_level(const RoomView& view, stores::StateRoot state, const UserId& user) {
  POLDER_TRY(const auto create, view.state_event(state, "m.room.create", ""));
  POLDER_TRY(const auto levels, view.state_event(state, "m.room.power_levels", ""));
  if (!create) return false;
  const dag::PowerLevels power(*create, levels.get());
  return power.user(user.view()) >= power.redact();
}

Result<policy::Redaction> redaction_facts(const RoomView& view, stores::StateRoot state,
                                          const ServerName& own_name, const events::Event& event) {
  policy::Redaction facts;
  const EventId target = *event.redacts();
  POLDER_TRY(facts.has_level, has_redact_level(view, state, event.sender()));
  POLDER_TRY(const auto number, view.find(target));
  if (!number) {
    POLDER_TRY(const auto place, stores::find_event(view.snapshot(), target));
    facts.target_elsewhere = place.has_value();
    return facts;
  }
  POLDER_TRY(const HeldEvent held, view.load(*number));
  facts.target_known = true;
  facts.creates_room = held.event->is_state("m.room.create", "");
  facts.own_event = held.event->sender() == event.sender();
  facts.local_event = held.event->sender().server() == own_name.view();
  return facts;
}

// What redaction left of it: for the authorisation rules that is no matter, for guests it is.
Result<std::string> guest_access(const RoomView& view, stores::StateRoot state) {
  const RoomView visible = view.as_visible();
  POLDER_TRY(const auto event, visible.state_event(state, "m.room.guest_access", ""));
  const std::string* access = event ? event->content().find_string("guest_access") : nullptr;
  return access != nullptr ? *access : std::string();
}

// Whether the user has the place in the room that the act needs before all else.
Result<bool> may_act(const RoomView& view, stores::StateRoot state, const UserId& user,
                     Point point) {
  if (is_own_entry_or_exit(point) && point != Point::kLeave) return true;
  POLDER_TRY(const auto event, view.state_event(state, "m.room.member", user.view()));
  const std::string_view membership = event ? event->membership() : std::string_view();
  if (membership == "join") return true;
  return point == Point::kLeave && (membership == "invite" || membership == "knock");
}

}  // namespace

bool is_own_entry_or_exit(Point point) {
  return point == Point::kCreate || point == Point::kJoin || point == Point::kKnock ||
         point == Point::kLeave;
}

Result<Decided> decide(const RoomView& view, stores::StateRoot state, const ServerName& own_name,
                       const events::Event& event, const policy::Actor& actor) {
  Decided decided{act_of(event), named(actor, event.sender()), policy::Permission()};
  POLDER_TRY(const bool inside, may_act(view, state, event.sender(), decided.act.point));
  if (!inside) return not_in_room();
  policy::Facts facts;
  POLDER_TRY(facts.account, account_of(view.names(), view.snapshot(), own_name, event.sender()));
  if (decided.act.point == Point::kRedact) {
    POLDER_TRY(facts.redaction, redaction_facts(view, state, own_name, event));
  }
  if (facts.account && facts.account->guest && decided.act.point == Point::kJoin) {
    POLDER_TRY(facts.guest_access, guest_access(view, state));
  }
  decided.decision = policy::decide(decided.act, decided.actor, facts);
  return decided;
}

Result<Decided> decide_outside(const stores::Names& names, const kv::Snapshot& snapshot,
                               const ServerName& own_name, policy::Act act,
                               const policy::Actor& actor, const UserId& user,
                               policy::Facts facts) {
  POLDER_TRY(facts.account, account_of(names, snapshot, own_name, user));
  Decided decided{std::move(act), named(actor, user), policy::Permission()};
  decided.decision = policy::decide(decided.act, decided.actor, facts);
  return decided;
}

stores::AuditRecord Audit::record_of(const Decided& decided) const {
  stores::AuditRecord record;
  record.at_ms = runtime_.clock().wall_ms();
  record.actor_kind = policy::kind_of(decided.actor);
  record.actor = policy::name_of(decided.actor);
  if (const auto* client = std::get_if<policy::Client>(&decided.actor))
    record.device = client->device.str();
  record.act = policy::to_string(decided.act.point);
  record.room = decided.act.room;
  record.target = decided.act.target;
  return record;
}

void Audit::add_permitted(const Decided& decided, std::string event, kv::Batch& batch) const {
  const std::string_view privilege = policy::privilege_of(decided.decision);
  if (privilege.empty()) return;
  stores::AuditRecord record = record_of(decided);
  record.permitted = true;
  record.by = privilege;
  record.event = std::move(event);
  stores::put_audit(batch, record);
}

bool Audit::take_place_in(Budget& budget, size_t most, size_t most_of_actor,
                          const stores::AuditRecord& record) {
  const int64_t minute = record.at_ms / kMinuteMs;
  if (std::exchange(budget.minute, minute) != minute) {
    budget.in_minute = 0;
    budget.of_actor.clear();
  }
  if (budget.in_minute == most) return false;
  if (!record.actor.empty()) {
    size_t& of_actor = budget.of_actor[record.actor];
    if (of_actor == most_of_actor) return false;
    ++of_actor;
  }
  ++budget.in_minute;
  return true;
}

bool Audit::take_place(Point point, std::string_view rule, stores::AuditRecord& record) {
  const bool strangers = is_strangers(point);
  const base::Lock lock(mutex_);
  ++refusals_[rule];
  Budget& budget = budgets_[strangers ? static_cast<size_t>(point) : 0];
  const bool has_place = take_place_in(budget, strangers ? kStrangersPerMinute : kRefusalsPerMinute,
                                       strangers ? kStrangersOfActor : kRefusalsOfActor, record);
  if (has_place) {
    record.left_out = std::exchange(budget.left_out, 0);
  } else {
    ++budget.left_out;
  }
  return has_place;
}

void Audit::add_refused(const Decided& decided) {
  const policy::Refusal* refusal = policy::refusal_of(decided.decision);
  if (refusal == nullptr) return;
  stores::AuditRecord record = record_of(decided);
  record.by = refusal->rule;
  if (!take_place(decided.act.point, refusal->rule, record)) return;
  kv::Batch batch;
  stores::put_audit(batch, record);
  committer_.enqueue(std::move(batch), kv::Durability::kLazy, [](const Result<kv::Committed>&) {});
}

uint64_t Audit::refusals(std::string_view rule) const {
  const base::Lock lock(mutex_);
  const auto counted = refusals_.find(rule);
  return counted == refusals_.end() ? 0 : counted->second;
}

}  // namespace polder::rooms
