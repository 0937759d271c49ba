#include "homeserver/sync/push/rules.h"

#include "homeserver/base/json/parse.h"
#include "homeserver/base/json/write.h"
#include "homeserver/base/runtime/hops.h"
#include "storage/stores/users/user_rows.h"

namespace polder::push {
namespace {

constexpr size_t kParsedMax = 1000;  // sets of rules that are remembered
// Of them, as on disk; parsed they are up to forty times as large.
constexpr size_t kParsedBytesMax = 1 << 20;

Result<push_rules::RuleSet> parse_changes(std::string_view text) {
  POLDER_TRY(const json::Object changes, json::parse_object(text));
  return push_rules::RuleSet::parse(changes);
}

}  // namespace

Rules::Rules(users::Parts parts, users::UserTurns& turns)
    : parts_(std::move(parts)),
      defaults_(std::make_shared<const push_rules::RuleSet>()),
      turns_(turns) {}

Result<RulesOf> Rules::parsed(const std::string& changes) const {
  if (changes.empty()) return RulesOf{defaults_, 0};
  {
    const base::Lock lock(mutex_);
    const auto found = parsed_.find(changes);
    figures_.count(found != parsed_.end());
    if (found != parsed_.end()) return found->second;
  }
  POLDER_TRY(auto rules, parse_changes(changes));
  const base::Lock lock(mutex_);
  if (parsed_.size() >= kParsedMax || parsed_bytes_ >= kParsedBytesMax) {
    figures_.evictions += parsed_.size();
    parsed_.clear();
    parsed_bytes_ = 0;
  }
  const auto [place, fresh] = parsed_.try_emplace(changes);
  if (fresh) {
    place->second.rules = std::make_shared<const push_rules::RuleSet>(std::move(rules));
    place->second.number = ++last_number_;
    parsed_bytes_ += changes.size();
  }
  return place->second;
}

metrics::CacheFigures Rules::figures() const {
  const base::Lock lock(mutex_);
  metrics::CacheFigures figures = figures_;
  figures.entries = parsed_.size();
  figures.bytes = parsed_bytes_;
  return figures;
}

Result<RulesOf> Rules::read(const kv::Snapshot& snapshot, stores::UserNumber user) const {
  POLDER_TRY(auto changes, stores::read_push_rules(snapshot, user));
  return parsed(std::move(changes).value_or(""));
}

Result<std::vector<FormerRules>> Rules::read_former(const kv::Snapshot& snapshot,
                                                    stores::UserNumber user) const {
  POLDER_TRY(const auto rows, stores::read_earlier_push_rules(snapshot, user));
  std::vector<FormerRules> former;
  for (const stores::EarlierPushRules& row : rows) {
    POLDER_TRY(RulesOf rules, parsed(row.changes));
    former.push_back({row.until, std::move(rules)});
  }
  return former;
}

Result<std::string> Rules::account_data(const kv::Snapshot& snapshot, stores::UserNumber user,
                                        const UserId& id) const {
  POLDER_TRY(const RulesOf of, read(snapshot, user));
  return json::write(json::Object{{"global", of.rules->to_json(id.view())}});
}

Task<Result<RulesOf>> Rules::get(stores::UserNumber user) const {
  const Rules* self = this;
  co_return co_await runtime::on_pool(
      parts_.runtime, [self, user] { return self->read(*self->parts_.database.snapshot(), user); });
}

Task<Status> Rules::change(stores::UserNumber user, Change change) {
  auto make = [this, user, change = std::move(change)](const kv::Snapshot& snapshot,
                                                       kv::Batch& batch) {
    return rewrite(user, change, snapshot, batch);
  };
  co_return co_await turns_.change(user, std::move(make));
}

Status Rules::rewrite(stores::UserNumber user, const Change& change, const kv::Snapshot& snapshot,
                      kv::Batch& batch) const {
  POLDER_TRY(const auto before, stores::read_push_rules(snapshot, user));
  POLDER_TRY(const RulesOf of, parsed(before.value_or("")));
  push_rules::RuleSet rules = *of.rules;
  POLDER_CHECK(change(rules));
  const std::string text = json::write(rules.changes());
  if (text.size() > kChangesBytesMax) return fail(ErrorCode::kTooLarge, "Too many push rules");
  if (text == before) return {};
  const kv::PositionSlot slot = batch.reserve_position();
  POLDER_TRY(const auto former, stores::read_earlier_push_rules(snapshot, user));
  const kv::Position last_change = former.empty() ? 0 : former.back().until;
  stores::put_push_rules(batch, user, text, slot, last_change);
  stores::put_earlier_push_rules(batch, user, before.value_or(""), slot);
  for (size_t i = 0; i + kFormerRulesMax <= former.size(); ++i)
    stores::erase_earlier_push_rules(batch, user, former[i].until);
  return {};
}

}  // namespace polder::push
