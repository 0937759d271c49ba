#include "homeserver/rooms/read/related.h"

#include <algorithm>
#include <unordered_set>

namespace polder::rooms {
namespace {

constexpr size_t kRowsAtOnce = 500;
constexpr size_t kRowsMax = 5000;  // looked at for one page

using stores::DepthPlace;
using stores::Relation;

bool is_wanted(const Relation& relation, const RelatedQuery& query) {
  return (query.rel_type.empty() || relation.rel_type == query.rel_type) &&
         (query.type.empty() || relation.type == query.type);
}

bool is_past(DepthPlace place, const RelatedQuery& query) {
  return query.forwards ? place >= query.to : place < query.to;
}

// Relations to one event from a place on, in either direction.
Result<std::vector<Relation>> read_rows(const RoomReader& room, const EventId& parent,
                                        DepthPlace from, bool forwards, size_t limit) {
  const RoomNumber number = room.head().number;
  return forwards ? stores::read_relations_forwards(room.snapshot(), number, parent, from, limit)
                  : stores::read_relations_backwards(room.snapshot(), number, parent, from, limit);
}

class Page {
 public:
  Page(const RoomReader& room, const ReaderOf& reader, const RelatedQuery& query)
      : room_(room), reader_(reader), query_(query) {}

  // False once the page has its end.
  Result<bool> add(const Relation& relation) {
    if (is_past(relation.place, query_)) return false;
    if (page_.events.size() == query_.limit) {
      page_.next = last_;
      return false;
    }
    last_ = query_.forwards ? stores::after(relation.place) : relation.place;
    if (!is_wanted(relation, query_)) return true;
    POLDER_TRY(HeldEvent held, room_.view().load(relation.child));
    const bool client_has =
        relation.place.position >= query_.client_has_from && !held.record.standing.backfilled;
    if (!query_.forwards && client_has) return true;
    POLDER_TRY(const bool visible, room_.visible(reader_, held));
    if (!visible || held.redaction || reader_.hides(held.event->sender().view(), false))
      return true;
    page_.events.emplace_back(relation.child, std::move(held));
    return true;
  }

  // There may be more than was looked at.
  void break_off() { page_.next = last_; }
  RelatedPage take() { return std::move(page_); }

 private:
  const RoomReader& room_;
  const ReaderOf& reader_;
  const RelatedQuery& query_;
  DepthPlace last_ = query_.from;
  RelatedPage page_;
};

Status read_direct(const RoomReader& room, const EventId& parent, const RelatedQuery& query,
                   Page& page) {
  DepthPlace from = query.from;
  for (size_t looked_at = 0; looked_at < kRowsMax; looked_at += kRowsAtOnce) {
    POLDER_TRY(const auto rows, read_rows(room, parent, from, query.forwards, kRowsAtOnce));
    for (const Relation& relation : rows) {
      POLDER_TRY(const bool more, page.add(relation));
      if (!more) return {};
    }
    if (rows.size() < kRowsAtOnce) return {};
    from = query.forwards ? stores::after(rows.back().place) : rows.back().place;
  }
  page.break_off();
  return {};
}

// All that relates to the event, directly or not, in the order of the query. What is older than the
// newest kRowsMax is left out.
Result<std::vector<Relation>> gather(const RoomReader& room, const EventId& parent, bool forwards) {
  std::vector<Relation> found;
  std::unordered_set<EventNumber> seen;
  std::vector<EventId> parents = {parent};
  for (int depth = 0; depth < kRecursionDepth && !parents.empty(); ++depth) {
    std::vector<EventId> children;
    for (const EventId& one : parents) {
      if (found.size() >= kRowsMax) break;
      POLDER_TRY(auto rows,
                 read_rows(room, one, stores::kLastPlace, false, kRowsMax - found.size()));
      for (Relation& relation : rows) {
        if (!seen.insert(relation.child).second) continue;
        POLDER_TRY(const HeldEvent held, room.view().load(relation.child));
        children.push_back(held.event->id());
        found.push_back(std::move(relation));
      }
    }
    parents = std::move(children);
  }
  std::ranges::sort(found, [forwards](const Relation& a, const Relation& b) {
    return forwards ? a.place < b.place : b.place < a.place;
  });
  return found;
}

Status read_all(const RoomReader& room, const EventId& parent, const RelatedQuery& query,
                Page& page) {
  POLDER_TRY(const auto found, gather(room, parent, query.forwards));
  for (const Relation& relation : found) {
    const bool before = query.forwards ? relation.place < query.from : relation.place >= query.from;
    if (before) continue;
    POLDER_TRY(const bool more, page.add(relation));
    if (!more) return {};
  }
  return {};
}

}  // namespace

Result<RelatedPage> read_related(const RoomReader& room, const ReaderOf& reader,
                                 const EventId& parent, const RelatedQuery& query) {
  Page page(room, reader, query);
  POLDER_CHECK(query.recurse ? read_all(room, parent, query, page)
                             : read_direct(room, parent, query, page));
  return page.take();
}

Result<bool> is_related_by(const RoomReader& room, const EventId& parent, const RelatedBy& by) {
  POLDER_TRY(const bool any, room.is_related_to(parent));
  if (!any) return false;
  std::unordered_set<stores::UserNumber> senders;
  if (by.senders) {
    for (const std::string& sender : *by.senders) {
      POLDER_TRY(const auto number, room.view().names().find(stores::NameKind::kUser, sender));
      if (number) senders.insert(*number);
    }
  }
  POLDER_TRY(const auto rows, read_rows(room, parent, stores::kLastPlace, false, kRowsMax));
  for (const Relation& relation : rows) {
    const bool fits = (!by.rel_types || by.rel_types->contains(relation.rel_type)) &&
                      (!by.senders || senders.contains(relation.sender));
    if (!fits) continue;
    POLDER_TRY(const bool redacted, room.is_redacted(relation.child));
    if (!redacted) return true;
  }
  return false;
}

}  // namespace polder::rooms
