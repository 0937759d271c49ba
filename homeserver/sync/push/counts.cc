#include "homeserver/sync/push/counts.h"

#include <set>

#include "homeserver/rooms/model/event_thread.h"
#include "homeserver/rooms/model/notification.h"
#include "storage/stores/rooms/push_rows.h"
#include "storage/stores/rooms/receipt_rows.h"

namespace polder::push {
namespace {

constexpr size_t kKnownMax = 100'000;

// The position of the event that a receipt names; 0 if that is in no timeline.
Result<kv::Position> position_of(const rooms::RoomReader& reader, const EventId& id) {
  POLDER_TRY(const auto number, reader.view().find(id));
  if (!number) return kv::Position{0};
  POLDER_TRY(const auto record, reader.view().record(*number));
  // What was backfilled is before all that can be unread.
  if (record.standing.outlier || record.standing.backfilled) return kv::Position{0};
  return record.position;
}

}  // namespace

Count Unread::main() const {
  const auto found = threads.find(std::string(rooms::kMainThread));
  return found == threads.end() ? Count() : found->second;
}

Count Unread::total() const {
  Count total;
  for (const auto& [thread, count] : threads) {
    total.notifications += count.notifications;
    total.highlights += count.highlights;
  }
  return total;
}

size_t Counts::Hash::operator()(const Key& key) const {
  size_t hash = 0;
  for (const uint64_t part : {key.rules, key.room, key.event, key.user})
    hash = (hash ^ part) * 0x9e3779b97f4a7c15u;
  return hash ^ (hash >> 32u);
}

std::optional<Counts::Known> Counts::recall(Key key, stores::UserNumber user) const {
  const base::Lock lock(mutex_);
  auto found = known_.find(key);
  if (found != known_.end() && found->second.personal) {
    key.user = user;
    found = known_.find(key);
  }
  figures_.count(found != known_.end());
  return found == known_.end() ? std::nullopt : std::optional(found->second);
}

void Counts::remember(Key key, stores::UserNumber user, const Known& known) const {
  const base::Lock lock(mutex_);
  if (known_.size() >= kKnownMax) {
    figures_.evictions += known_.size();
    known_.clear();
  }
  known_[key] = known;
  if (!known.personal) return;
  key.user = user;
  known_[key] = known;
}

metrics::CacheFigures Counts::figures() const {
  const base::Lock lock(mutex_);
  metrics::CacheFigures figures = figures_;
  figures.entries = known_.size();
  return figures;
}

// One room for one user.
class Counts::Reading {
 public:
  Reading(const Counts& counts, const rooms::RoomReader& reader, const rooms::ReaderOf& of,
          const Judgement& judgement, kv::Position up_to)
      : counts_(counts),
        reader_(reader),
        of_(of),
        judgement_(judgement),
        room_(reader.head().number),
        up_to_(up_to) {}

  Result<Unread> run() {
    POLDER_TRY(read_everywhere_, mark({}));
    POLDER_TRY(ignores_somebody_, ignores_somebody_here());
    if (reader_.head().recent.may_be_redacted(read_everywhere_)) POLDER_CHECK(find_redacted());
    // From the newest to the oldest, as far as is read.
    kv::Position to = up_to_;
    const RulesOf* rules = &judgement_.rules;
    for (size_t i = judgement_.former.size(); i > 0 && to > read_everywhere_; --i) {
      const FormerRules& former = judgement_.former[i - 1];
      if (acts_alike(former.rules, *rules)) continue;
      if (former.until < to) {
        POLDER_CHECK(count(*rules, {std::max(former.until, read_everywhere_), to}));
        to = former.until;
      }
      rules = &former.rules;
    }
    if (to > read_everywhere_) POLDER_CHECK(count(*rules, {read_everywhere_, to}));
    std::erase_if(unread_.threads, [](const auto& entry) { return entry.second == Count(); });
    return std::move(unread_);
  }

 private:
  // Events with from < position <= to.
  struct Span {
    kv::Position from = 0, to = 0;
  };

  bool acts_as_default(const RulesOf& rules) const {
    return rules.number == 0 || rules.rules->acts_as_default(reader_.head().record.id.view());
  }
  bool acts_alike(const RulesOf& a, const RulesOf& b) const {
    return a.number == b.number || (acts_as_default(a) && acts_as_default(b));
  }

  Status count(const RulesOf& rules, Span span) {
    return !ignores_somebody_ && acts_as_default(rules) ? count_by_default(span)
                                                        : count_by(rules, span);
  }

  // Whether somebody whom the user ignores is or was a member.
  Result<bool> ignores_somebody_here() const {
    if (!of_.ignored) return false;
    for (const std::string& user : of_.ignored->names()) {
      POLDER_TRY(const auto member,
                 reader_.state_event(reader_.head().record.state, "m.room.member", user));
      if (member) return true;
    }
    return false;
  }

  // What is unread and redacted. Events are numbered in the order in which they come, but for those
  // that were known before they had a place.
  Status find_redacted() {
    POLDER_TRY(const auto read, reader_.timeline_backwards(0, read_everywhere_, 1));
    const stores::EventPlace first{room_, read.empty() ? 0 : read[0].number + 1};
    POLDER_TRY(const auto numbers, stores::read_redacted(reader_.snapshot(), first, kRedactedMax));
    for (const stores::EventNumber number : numbers) {
      POLDER_TRY(const auto record, reader_.view().find_record(number));
      if (!record || record->standing.outlier || record->standing.backfilled) continue;
      if (record->position > read_everywhere_) redacted_.insert(record->position);
    }
    return {};
  }

  // Of those that notify outside of threads.
  Result<uint64_t> redacted_between(kv::Position from, kv::Position to) const {
    uint64_t redacted = 0;
    for (auto at = redacted_.upper_bound(from); at != redacted_.end() && *at <= to; ++at) {
      POLDER_TRY(const bool notified, stores::is_notifying(reader_.snapshot(), room_, *at));
      redacted += notified ? 1 : 0;
    }
    return redacted;
  }

  // Up to where the user has read in a thread; empty: in all of them. "If the user has both m.read
  // and m.read.private set in the room then the receipt which is more recent/ahead must be used."
  Result<kv::Position> mark(const std::string& thread) const {
    POLDER_TRY(kv::Position read,
               stores::read_read_up_to(reader_.snapshot(), room_, of_.number, thread));
    for (const std::string_view type : {"m.read", "m.read.private"}) {
      POLDER_TRY(const auto receipt,
                 stores::read_receipt(reader_.snapshot(), room_, of_.number, type, thread));
      if (!receipt) continue;
      POLDER_TRY(const kv::Position position, position_of(reader_, receipt->event));
      read = std::max(read, position);
    }
    return read;
  }

  Result<kv::Position> read_up_to(const std::string& thread) {
    const auto known = marks_.find(thread);
    if (known != marks_.end()) return known->second;
    POLDER_TRY(const kv::Position read, mark(thread));
    return marks_[thread] = std::max(read, read_everywhere_);
  }

  Status count_by_default(Span span) {
    const std::string main(rooms::kMainThread);
    POLDER_TRY(const kv::Position read, read_up_to(main));
    const kv::Position from = std::min(std::max(read, span.from), span.to);
    POLDER_TRY(const uint64_t notifying, notifying_between(from, span.to));
    POLDER_TRY(const uint64_t redacted, redacted_between(from, span.to));
    unread_.threads[main].notifications += notifying - std::min(notifying, redacted);
    const rooms::RecentTimeline& recent = reader_.head().recent;
    if (recent.may_notify_in_threads(span.from)) POLDER_CHECK(count_in_threads(span));
    return recent.may_highlight(span.from) ? count_highlights(span) : Status();
  }

  // Both numbers from one place: what was purged is counted in memory, and on disk, perhaps, by
  // nothing any more.
  Result<uint64_t> notifying_between(kv::Position from, kv::Position to) const {
    const rooms::RecentTimeline& recent = reader_.head().recent;
    const auto known_last = recent.notifying_at(to), known_seen = recent.notifying_at(from);
    if (known_last && known_seen) return *known_last - *known_seen;
    POLDER_TRY(const uint64_t last, stores::read_notifying(reader_.snapshot(), room_, to));
    POLDER_TRY(const uint64_t seen, stores::read_notifying(reader_.snapshot(), room_, from));
    return last - seen;
  }

  Status count_in_threads(Span span) {
    POLDER_TRY(const auto in_threads,
               stores::read_notifying_in_threads(reader_.snapshot(), room_, span.from, span.to,
                                                 kThreadEventsMax));
    for (const stores::ThreadPlace& place : in_threads)
      POLDER_CHECK(add(place, true, false));
    return {};
  }

  Status count_highlights(Span span) {
    for (const stores::UserNumber user : {of_.number, stores::UserNumber{0}}) {
      POLDER_TRY(const auto highlights,
                 stores::read_highlights(reader_.snapshot(), room_, user, span.from, span.to,
                                         kHighlightsMax));
      for (const stores::Highlight& highlight : highlights)
        POLDER_CHECK(add(highlight.place, !highlight.notifies_all, true));
    }
    return {};
  }

  Status add(const stores::ThreadPlace& place, bool notify, bool highlight) {
    POLDER_TRY(const kv::Position read, read_up_to(place.thread));
    if (place.position <= read || redacted_.contains(place.position)) return {};
    Count& count = unread_.threads[place.thread];
    count.notifications += notify ? 1 : 0;
    count.highlights += highlight ? 1 : 0;
    return {};
  }

  Status count_by(const RulesOf& rules, Span span) {
    POLDER_TRY(const auto entries, reader_.timeline_backwards(span.from, span.to, left_));
    left_ -= entries.size();
    for (const stores::TimelineEntry& entry : entries) {
      if (redacted_.contains(entry.position)) continue;
      const Key key{rules.number, room_, entry.number, 0};
      auto known = counts_.recall(key, of_.number);
      if (!known) {
        if (bytes_ > kBytesReadMax) break;
        POLDER_TRY(known, evaluate(*rules.rules, entry.number));
        counts_.remember(key, of_.number, *known);
      }
      if (!known->notify || known->sender == of_.user.view()) continue;
      if (of_.hides(known->sender, known->state)) continue;
      POLDER_CHECK(add({entry.position, known->thread}, true, known->highlight));
    }
    return {};
  }

  Result<std::optional<Known>> evaluate(const push_rules::RuleSet& rules,
                                        stores::EventNumber number) {
    POLDER_TRY(const rooms::HeldEvent held, reader_.view().load(number));
    bytes_ += held.event->json().size();
    POLDER_TRY(const std::string name, display_name(rules));
    std::optional<Error> failure;
    const rooms::RoomView sent = reader_.as_sent();
    const push_rules::EventContext context{held.event->object(), held.event->room_id().view(),
                                           reader_.head().record.joined, [&](std::string_view key) {
                                             const auto may = rooms::may_notify(
                                                 *held.event, held.record.state_before, key, sent);
                                             if (!may.ok()) failure = may.error();
                                             return may.ok() && *may;
                                           }};
    const push_rules::Outcome outcome = rules.evaluate(context, {of_.user.view(), name});
    if (failure) return *failure;
    Known known;
    known.notify = outcome.notify;
    known.highlight = outcome.notify && outcome.highlight;
    known.personal = outcome.personal;
    known.sender = held.event->sender().str();
    known.state = held.event->state_key().has_value();
    // Where it stands is not taken away by a redaction.
    POLDER_TRY(const rooms::HeldEvent whole, sent.load(number));
    POLDER_TRY(known.thread, rooms::thread_of(*whole.event, sent));
    return std::optional(std::move(known));
  }

  // In this room; only read if the rules ask for it.
  Result<std::string> display_name(const push_rules::RuleSet& rules) const {
    if (!rules.asks_display_name()) return std::string();
    POLDER_TRY(const auto member,
               reader_.state_event(reader_.head().record.state, "m.room.member", of_.user.view()));
    const std::string* name = member ? member->content().find_string("displayname") : nullptr;
    return name == nullptr ? std::string() : *name;
  }

  const Counts& counts_;
  const rooms::RoomReader& reader_;
  const rooms::ReaderOf& of_;
  const Judgement& judgement_;
  const stores::RoomNumber room_;
  const kv::Position up_to_;
  kv::Position read_everywhere_ = 0;
  bool ignores_somebody_ = false;
  std::set<kv::Position> redacted_;
  size_t left_ = kEventsReadMax;  // of events that may be read
  size_t bytes_ = 0;              // of those that were
  std::unordered_map<std::string, kv::Position> marks_;
  Unread unread_;
};

Result<Judgement> Counts::judgement(const kv::Snapshot& snapshot, stores::UserNumber number,
                                    const UserId& user) const {
  Judgement judgement;
  POLDER_TRY(judgement.rules, rules_.read(snapshot, number));
  POLDER_TRY(judgement.former, rules_.read_former(snapshot, number));
  POLDER_TRY(auto ignored, rooms::IgnoredUsers::read(snapshot, number, user));
  judgement.ignored = std::make_shared<const rooms::IgnoredUsers>(std::move(ignored));
  return judgement;
}

Result<Unread> Counts::unread(const rooms::RoomReader& reader, const rooms::ReaderOf& of,
                              const Judgement& judgement, kv::Position up_to) const {
  return Reading(*this, reader, of, judgement, up_to).run();
}

}  // namespace polder::push
