#include "storage/stores/check/check_chains.h"

#include <algorithm>
#include <set>

#include "storage/stores/rooms/chain_rows.h"

namespace polder::stores {
namespace {

class ChainChecker {
 public:
  ChainChecker(const CheckContext& context, RoomNumber room,
               const std::map<EventNumber, KnownEvent>& events)
      : context_(context), room_(room), events_(events) {}

  Status run() {
    const Status read = for_each_chain_row(
        context_.snapshot, room_, 0, ~EventNumber{0},
        [this](EventNumber number, const ChainRow& row) { rows_.emplace(number, row); });
    if (!read.ok()) {
      fault(read.error().message);
      return {};
    }
    check_events();
    for (const auto& [number, row] : rows_)
      check_row(number, row);
    return check_ends();
  }

 private:
  void fault(std::string_view what) const {
    context_.fault(std::string(what) + " in room " + std::to_string(room_));
  }

  void check_events() const {
    for (const auto& [number, known] : events_) {
      if (known.facts && known.facts->state_key.has_value() != rows_.contains(number))
        fault("the index over auth chains has not just the state events");
    }
  }

  void check_row(EventNumber number, const ChainRow& row) {
    const auto known = events_.find(number);
    if (known == events_.end()) return fault("the index over auth chains has an unknown event");
    const std::vector<EventNumber>& auth_events = known->second.record.auth_events;
    if (row.before == 0 ? row.chain != number || row.linked != 0 : !follows(known->second, row))
      fault("a chain of the auth events does not go on as it should");
    EventNumber& end = ends_[row.chain];
    end = std::max(end, number);
    for (const ChainLink& link : row.links) {
      const auto target = rows_.find(link.event);
      if (target == rows_.end() || target->second.chain != link.chain ||
          std::ranges::find(auth_events, link.event) == auth_events.end())
        fault("a link of the auth chains leads astray");
    }
    for (const EventNumber auth : auth_events) {
      if (rows_.contains(auth) && !reaches(row, auth, auth_events))
        fault("an auth event is not reached by the index over auth chains");
    }
  }

  // Whether the event may come after the one that its row names.
  bool follows(const KnownEvent& event, const ChainRow& row) {
    const auto before = rows_.find(row.before);
    const auto known = events_.find(row.before);
    if (before == rows_.end() || known == events_.end() || before->second.chain != row.chain)
      return false;
    const auto& auth_events = event.record.auth_events;
    if (std::ranges::find(auth_events, row.before) == auth_events.end()) return false;
    if (!followed_.insert(row.before).second) return false;
    const EventNumber linked = before->second.links.empty() ? before->second.linked : row.before;
    if (linked != row.linked) return false;
    const auto& facts = known->second.facts;
    return !facts || !event.facts ||
           (facts->type == event.facts->type && facts->state_key == event.facts->state_key);
  }

  static bool links_to(const ChainRow& row, EventNumber chain, EventNumber event) {
    return std::ranges::any_of(row.links, [=](const ChainLink& link) {
      return link.chain == chain && link.event >= event;
    });
  }

  bool reaches(const ChainRow& row, EventNumber auth,
               const std::vector<EventNumber>& auth_events) const {
    const EventNumber chain = rows_.at(auth).chain;
    if (chain == row.chain && auth <= row.before) return true;
    for (const ChainRow* at = &row; at != nullptr;) {
      if (links_to(*at, chain, auth)) return true;
      const auto next = rows_.find(at->linked);
      at = next == rows_.end() ? nullptr : &next->second;
    }
    return std::ranges::any_of(auth_events, [&](EventNumber other) {
      const auto found = rows_.find(other);
      if (found == rows_.end()) return false;
      return (found->second.chain == chain && other > auth) || links_to(found->second, chain, auth);
    });
  }

  Status check_ends() {
    std::map<EventNumber, EventNumber> stored;
    POLDER_CHECK(for_each_chain_end(
        context_.snapshot, room_,
        [&stored](EventNumber chain, EventNumber end) { stored.emplace(chain, end); }));
    std::erase_if(ends_, [](const auto& item) { return item.first == item.second; });
    if (stored != ends_) fault("a chain of the auth events ends elsewhere");
    return {};
  }

  const CheckContext& context_;
  const RoomNumber room_;
  const std::map<EventNumber, KnownEvent>& events_;
  std::map<EventNumber, ChainRow> rows_;
  std::set<EventNumber> followed_;
  std::map<EventNumber, EventNumber> ends_;  // of each chain, its last event
};

}  // namespace

Status check_chains(const CheckContext& context, RoomNumber room,
                    const std::map<EventNumber, KnownEvent>& events) {
  return ChainChecker(context, room, events).run();
}

}  // namespace polder::stores
