// Reading what was said in rooms: messages, context, single events, relations.
#include <set>

#include "homeserver/api/client/room_reading.h"
#include "homeserver/api/client/state_pieces.h"
#include "homeserver/base/json/write.h"
#include "homeserver/rooms/read/gaps.h"
#include "homeserver/rooms/read/related.h"
#include "homeserver/rooms/write/writer.h"
#include "homeserver/sync/classic/filter.h"
#include "homeserver/sync/classic/tokens.h"

namespace polder::client_api {
namespace {

using http::Method;
using http::Response;
using rooms::ReaderOf;
using rooms::RoomReader;

constexpr size_t kBackfillMax = 100;
constexpr size_t kGapsMax = 20;
constexpr size_t kScannedMax = 5000;  // events looked at for one page, most of them invisible

bool is_hidden(const events::Event& event, const ReaderOf& of) {
  return of.hides(event.sender().view(), event.is_state());
}

// Where a page begins, and where it ends at the latest: boundaries between events. What a token of
// a sync covers lies before its boundary; a page's end lies behind the last event of the page, as
// seen in its direction, so that who turns back there is given that event again.
struct PageRange {
  sync::HistoryPosition from;
  stores::DepthPlace to;
};
Result<PageRange> range_of(const RoomReader& reader, const kit::Paging& paging) {
  PageRange range{sync::end_of_room(), {}};
  if (paging.forwards) range = {{}, sync::end_of_room().place};
  if (paging.from) {
    POLDER_TRY(range.from, sync::history_position(reader, *paging.from,
                                                  paging.forwards ? sync::Direction::kForwards
                                                                  : sync::Direction::kBackwards));
  }
  if (paging.to) {
    POLDER_TRY(const auto to,
               sync::history_position(reader, *paging.to, sync::Direction::kForwards));
    range.to = to.place;
  }
  return range;
}

// A page of the order by depth and position: from one boundary, in one direction, to another, if
// there is one.
struct PageQuery {
  sync::HistoryPosition from;
  bool backwards = true;
  std::optional<stores::DepthPlace> to = {};
  size_t limit = 0;
  sync::EventFilter filter = {};
};
struct Page {
  std::vector<std::string> events;  // as clients get them
  std::set<std::string> senders;
  sync::HistoryPosition end;
  bool more = false;
  std::vector<EventId> gaps;  // events of the page before which others are missing here
};

Status note_gap(const RoomReader& reader, const rooms::HeldEvent& held, Page& page) {
  // What was purged is not asked for.
  if (held.record.depth <= reader.head().record.history_from) return {};
  POLDER_TRY(const bool gap, rooms::has_gap_before(reader, held));
  if (gap && page.gaps.size() < kGapsMax) page.gaps.push_back(held.event->id());
  return {};
}

// Events may be missing before the very event at which the last page ended.
Status find_gap_at(const RoomReader& reader, stores::DepthPlace place, Page& page) {
  if (place.position == 0 || place.position == kv::kLastPosition) return {};
  POLDER_TRY(const auto at, stores::read_from(reader.snapshot(), reader.head().number, place, 1));
  if (at.empty() || at[0].place != place) return {};
  POLDER_TRY(const auto held, reader.view().load(at[0].number));
  return note_gap(reader, held, page);
}

bool is_past(stores::DepthPlace place, const PageQuery& query) {
  return query.to && (query.backwards ? place < *query.to : place >= *query.to);
}

Result<Page> read_page(const RoomReader& reader, const ReaderOf& of, const PageQuery& query,
                       const Call& call) {
  const size_t limit = std::min(query.limit, query.filter.limit.value_or(query.limit));
  Page page;
  page.end = query.from;
  if (!query.filter.allows_room(reader.head().record.id.view())) return page;
  const auto room = reader.head().number;
  if (query.backwards) POLDER_CHECK(find_gap_at(reader, query.from.place, page));
  for (size_t scanned = 0; page.events.size() < limit && scanned < kScannedMax;) {
    const size_t want = limit - page.events.size() + 1;
    POLDER_TRY(const auto entries,
               query.backwards ? stores::read_before(reader.snapshot(), room, page.end.place, want)
                               : stores::read_from(reader.snapshot(), room, page.end.place, want));
    for (const stores::DepthEntry& entry : entries) {
      if (is_past(entry.place, query)) return page;
      if (page.events.size() == limit) {
        page.more = true;
        return page;
      }
      ++scanned;
      page.end.place = query.backwards ? entry.place : stores::after(entry.place);
      POLDER_TRY(const auto held, reader.view().load(entry.number));
      POLDER_CHECK(note_gap(reader, held, page));
      const bool told =
          entry.place.position >= query.from.told_from && !held.record.standing.backfilled;
      if (query.backwards && told) continue;
      POLDER_TRY(const bool visible, reader.visible(of, held));
      if (!visible || !query.filter.allows(*held.event) || is_hidden(*held.event, of)) continue;
      POLDER_TRY(const bool related, query.filter.allows_related(reader, held.event->id().view()));
      if (!related) continue;
      POLDER_TRY(std::string event, client_event(reader, of, entry.number, held, call));
      page.events.push_back(std::move(event));
      page.senders.insert(held.event->sender().str());
    }
    if (entries.size() < want) return page;
  }
  page.more = true;
  return page;
}

void write_events(json::Writer& writer, const std::vector<std::string>& events) {
  writer.begin_array();
  for (const std::string& event : events)
    writer.raw(event);
  writer.end_array();
}

struct MessagesPage {
  rooms::RoomHeadPtr head;
  PageQuery query;
  Page page;
  std::vector<std::string> members;  // of the senders, with lazy loading
};

Result<sync::EventFilter> filter_of(const Call& call, bool& lazy_members) {
  POLDER_TRY(const auto object, call.query().object("filter"));
  if (!object) return sync::EventFilter();
  POLDER_TRY(lazy_members, json::Reader(*object).boolean_or("lazy_load_members", false));
  return sync::parse_event_filter(*object);
}

Result<MessagesPage> read_messages(const Api& api, const Call& call) {
  POLDER_TRY(const OpenedRoom opened, open_room(api, call));
  const RoomReader& reader = *opened.reader;
  const ReaderOf& of = opened.of;
  POLDER_TRY(const auto state, reader.visible_state(of));
  POLDER_TRY(const kit::Paging paging, call.query().paging({.limit_min = 0}));
  MessagesPage result;
  result.head = api.rooms.head(reader.head().number);
  bool lazy_members = false;
  result.query.backwards = !paging.forwards;
  POLDER_TRY(const PageRange range, range_of(reader, paging));
  result.query.from = range.from;
  result.query.to = range.to;
  result.query.limit = paging.limit;
  POLDER_TRY(result.query.filter, filter_of(call, lazy_members));
  POLDER_TRY(result.page, read_page(reader, of, result.query, call));
  if (!lazy_members) return result;
  for (const std::string& sender : result.page.senders) {
    POLDER_TRY(const auto number, reader.view().state_number(state, "m.room.member", sender));
    if (!number) continue;
    POLDER_TRY(const auto held, reader.view().load(*number));
    POLDER_TRY(std::string member, reader.client_event(of, *number, held, {}));
    result.members.push_back(std::move(member));
  }
  return result;
}

// https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidmessages. Going
// back over a gap, other servers are asked for what is missing, once a request.
Task<Result<Response>> messages(const Api& api, Call& call) {
  const auto read = [&api, &call] { return read_messages(api, call); };
  POLDER_CO_TRY(MessagesPage found, co_await runtime::on_pool(api.runtime, read));
  size_t filled = 0;
  if (found.query.backwards && !found.page.gaps.empty()) {
    filled = co_await api.writer.fill_gap(found.head, found.page.gaps, kBackfillMax);
    if (filled > 0) {
      POLDER_CO_TRY(found, co_await runtime::on_pool(api.runtime, read));
    }
  }
  const Page& page = found.page;
  // Over what is still missing the client comes with the next page, unless nobody has it: then it
  // would ask for ever.
  const bool missing = found.query.backwards && !page.gaps.empty();
  const bool more = page.more || (missing && (filled > 0 || !page.events.empty()));
  std::string text;
  json::Writer writer(text);
  writer.begin_object().member("start", std::string_view(sync::history_token(found.query.from)));
  writer.key("chunk");
  write_events(writer, page.events);
  if (!found.members.empty()) {
    writer.key("state");
    write_events(writer, found.members);
  }
  if (more) writer.member("end", std::string_view(sync::history_token(page.end)));
  writer.end_object();
  co_return Response::json(200, std::move(text));
}

Result<std::pair<stores::EventNumber, rooms::HeldEvent>> find_visible(const RoomReader& reader,
                                                                      const ReaderOf& of,
                                                                      const Call& call) {
  const Error unknown = event_not_found();
  const auto id = EventId::parse(call.path("eventId"));
  if (!id.ok()) return unknown;
  POLDER_TRY(const auto number, reader.view().find(*id));
  if (!number) return unknown;
  POLDER_TRY(auto held, reader.view().load(*number));
  const stores::Standing& standing = held.record.standing;
  if (standing.outlier || standing.rejected || standing.soft_failed) return unknown;
  POLDER_TRY(const bool visible, reader.visible(of, held));
  if (!visible) return unknown;
  return std::pair(*number, std::move(held));
}

Result<Response> event(const Api&, const RoomReader& reader, const ReaderOf& of, const Call& call) {
  POLDER_TRY(const auto found, find_visible(reader, of, call));
  POLDER_TRY(std::string text, client_event(reader, of, found.first, found.second, call));
  return Response::json(200, std::move(text));
}

// https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidcontexteventid
Result<Response> context(const Api& api, const RoomReader& reader, const ReaderOf& of,
                         const Call& call) {
  POLDER_TRY(const auto found, find_visible(reader, of, call));
  POLDER_TRY(const size_t limit, call.query().limit({.limit_min = 0}));
  const stores::DepthPlace place{found.second.record.depth, found.second.record.position};
  bool lazy_members = false;
  POLDER_TRY(const sync::EventFilter filter, filter_of(call, lazy_members));
  const auto page = [&](bool backwards, size_t count) {
    return read_page(reader, of,
                     {{backwards ? place : stores::after(place)}, backwards, {}, count, filter},
                     call);
  };
  POLDER_TRY(const Page before, page(true, limit / 2));
  POLDER_TRY(const Page after, page(false, limit - limit / 2));
  POLDER_TRY(const std::string itself, client_event(reader, of, found.first, found.second, call));
  StatePieces pieces;
  json::Writer writer(pieces.begin);
  writer.begin_object().key("event").raw(itself).key("events_before");
  write_events(writer, before.events);
  writer.key("events_after");
  write_events(writer, after.events);
  writer.member("start", std::string_view(sync::history_token(before.end)))
      .member("end", std::string_view(sync::history_token(after.end)));
  pieces.begin.append(",\"state\":[");
  pieces.end = "]}";
  std::set<std::string, std::less<>> senders(before.senders.begin(), before.senders.end());
  senders.insert(after.senders.begin(), after.senders.end());
  senders.insert(found.second.event->sender().str());
  pieces.append = [lazy_members, senders](const RoomReader& room, const ReaderOf& user,
                                          stores::EventNumber number, std::string& out) -> Status {
    POLDER_TRY(const auto state, room.shown(number));
    const bool is_member = state->type() == "m.room.member";
    if (lazy_members && is_member && !senders.contains(state->state_key())) return {};
    return room.append_client_event(user, number, *state, {}, out);
  };
  POLDER_TRY(const bool sees_room, reader.sees_room_at(of, found.second));
  const auto state = sees_room ? found.second.record.state_after : stores::StateRoot();
  return state_in_pieces(api, reader, of, state, std::nullopt, std::move(pieces));
}

Result<rooms::RelatedQuery> related_query_of(const RoomReader& reader, const Call& call) {
  rooms::RelatedQuery query;
  query.rel_type = call.path("relType");
  query.type = call.path("eventType");
  POLDER_TRY(query.recurse, call.query().boolean_or("recurse", false));
  POLDER_TRY(const kit::Paging paging, call.query().paging({.direction = "b"}));
  query.forwards = paging.forwards;
  query.limit = paging.limit;
  POLDER_TRY(const PageRange range, range_of(reader, paging));
  query.from = range.from.place;
  query.client_has_from = range.from.told_from;
  query.to = range.to;
  return query;
}

// https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1roomsroomidrelationseventid
Result<Response> relations(const Api&, const RoomReader& reader, const ReaderOf& of,
                           const Call& call) {
  POLDER_TRY(const auto parent, find_visible(reader, of, call));
  POLDER_TRY(const rooms::RelatedQuery query, related_query_of(reader, call));
  POLDER_TRY(const auto page, rooms::read_related(reader, of, parent.second.event->id(), query));
  std::vector<std::string> events;
  for (const auto& [number, held] : page.events) {
    POLDER_TRY(std::string text, client_event(reader, of, number, held, call));
    events.push_back(std::move(text));
  }
  std::string text;
  json::Writer writer(text);
  writer.begin_object().key("chunk");
  write_events(writer, events);
  if (page.next) {
    const sync::HistoryPosition next{*page.next, query.client_has_from};
    writer.member("next_batch", std::string_view(sync::history_token(next)));
  }
  if (call.query("from")) writer.member("prev_batch", *call.query("from"));
  if (call.query("recurse"))
    writer.member("recursion_depth", int64_t{query.recurse ? rooms::kRecursionDepth : 0});
  writer.end_object();
  return Response::json(200, std::move(text));
}

constexpr Operation kHistoryOperations[] = {
    {"getRoomEvents", Method::kGet, "/_matrix/client/v3/rooms/{roomId}/messages", messages},
    {"getOneRoomEvent", Method::kGet, "/_matrix/client/v3/rooms/{roomId}/event/{eventId}",
     reading_event<event>},
    {"getEventContext", Method::kGet, "/_matrix/client/v3/rooms/{roomId}/context/{eventId}",
     reading_event<context>},
    {"getRelatingEvents", Method::kGet, "/_matrix/client/v1/rooms/{roomId}/relations/{eventId}",
     reading_event<relations>},
    {"getRelatingEventsWithRelType", Method::kGet,
     "/_matrix/client/v1/rooms/{roomId}/relations/{eventId}/{relType}", reading_event<relations>},
    {"getRelatingEventsWithRelTypeAndEventType", Method::kGet,
     "/_matrix/client/v1/rooms/{roomId}/relations/{eventId}/{relType}/{eventType}",
     reading_event<relations>},
};

}  // namespace

void add_history_routes(http::Router& router, const Api& api) {
  add_operations(router, api, kHistoryOperations);
}

}  // namespace polder::client_api
