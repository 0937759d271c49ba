#include "storage/stores/check.h"

#include <set>

#include "storage/keys/key.h"
#include "storage/keys/value.h"
#include "storage/stores/columns.h"
#include "storage/stores/names.h"
#include "storage/stores/room_rows.h"
#include "storage/stores/state_map.h"

namespace polder::stores {
namespace {

class Checker {
 public:
  explicit Checker(const kv::Snapshot& snapshot) : snapshot_(snapshot) {}

  Result<CheckReport> run() {
    if (const Status names = Names::check(snapshot_); !names.ok()) fault(names.error().message);
    POLDER_CHECK(check_event_ids());
    POLDER_CHECK(
        for_each_room(snapshot_, [&](RoomNumber number, const RoomRecord& record) -> Status {
          ++report_.rooms;
          return check_room(number, record);
        }));
    return std::move(report_);
  }

 private:
  void fault(std::string what) {
    if (report_.faults.size() < kMaxFaults) report_.faults.push_back(std::move(what));
  }
  static std::string in(RoomNumber room) { return " in room " + std::to_string(room); }

  Status check_event_ids() {
    const auto rows = snapshot_.iterate(kEventIds, {});
    for (rows->seek_to_first(); rows->valid(); rows->next()) {
      keys::ValueReader value(rows->value(), 1);
      const EventPlace place{value.varint(), value.varint()};
      POLDER_TRY(const auto record, read_event_record(snapshot_, place));
      if (!value.at_end() || !record) fault("an event id leads to no event" + in(place.room));
      ++report_.events;
      ++ids_[place.room];
    }
    return rows->status();
  }

  Status check_room(RoomNumber room, const RoomRecord& record) {
    std::set<EventNumber> events;
    std::map<EventNumber, EventRecord> positioned;
    POLDER_CHECK(read_events(room, events, positioned));
    if (events.size() != ids_[room]) fault("events and event ids differ in count" + in(room));
    if (!events.empty() && *events.rbegin() > record.last_event)
      fault("an event is beyond the last one" + in(room));
    for (const EventNumber edge : record.extremities) {
      if (!positioned.contains(edge)) fault("a forward extremity is no event" + in(room));
    }
    POLDER_CHECK(check_timeline(room, positioned));
    return check_state(room, record, events);
  }

  Status read_events(RoomNumber room, std::set<EventNumber>& events,
                     std::map<EventNumber, EventRecord>& positioned) {
    const auto rows =
        snapshot_.iterate(kEventRecords, kv::prefix_range(keys::KeyWriter().u64(room).str()));
    for (rows->seek_to_first(); rows->valid(); rows->next()) {
      keys::KeyReader key(rows->key());
      key.u64();
      const EventNumber number = key.u64();
      POLDER_TRY(const auto json, read_event_json(snapshot_, {room, number}));
      if (!json) fault("an event has a record and no content" + in(room));
      const auto record = read_event_record(snapshot_, {room, number});
      if (!record.ok()) {
        fault(record.error().message + in(room));
        continue;
      }
      for (const EventNumber auth : (*record)->auth_events) {
        if (!events.contains(auth)) fault("an auth event is missing or newer" + in(room));
      }
      events.insert(number);
      if (!(*record)->standing.outlier) positioned.emplace(number, **record);
    }
    for (const auto& [number, record] : positioned) {
      for (const EventNumber prev : record.prev_events) {
        if (!events.contains(prev)) fault("a prev event is missing" + in(room));
      }
    }
    return rows->status();
  }

  Status check_timeline(RoomNumber room, const std::map<EventNumber, EventRecord>& positioned) {
    size_t expected = 0;
    for (const auto& [number, record] : positioned) {
      const Standing& standing = record.standing;
      if (!standing.rejected && !standing.soft_failed && !standing.backfilled) ++expected;
    }
    POLDER_TRY(const auto entries,
               read_timeline_forwards(snapshot_, room, 0, kv::kLastPosition, ~size_t{0}));
    for (const TimelineEntry& entry : entries) {
      const auto found = positioned.find(entry.number);
      if (found == positioned.end() || found->second.position != entry.position)
        fault("a timeline entry leads astray" + in(room));
    }
    if (entries.size() != expected) fault("the timeline lacks or repeats events" + in(room));
    return {};
  }

  Status check_state(RoomNumber room, const RoomRecord& record,
                     const std::set<EventNumber>& events) {
    const StateNodes nodes(room, snapshot_, cache_);
    const Status walked =
        state_for_each(nodes, record.state, std::nullopt, [&](const StateEntry& entry) {
          if (!events.contains(entry.event))
            fault("the current state names an event that is not there" + in(room));
          return true;
        });
    if (!walked.ok()) fault(walked.error().message + in(room));
    uint64_t joined = 0;
    POLDER_TRY(const auto counts, read_server_counts(snapshot_, room));
    for (const auto& [server, count] : counts)
      joined += count;
    if (joined != record.joined)
      fault("the members of the servers are not the members of the room" + in(room));
    return {};
  }

  const kv::Snapshot& snapshot_;
  StateNodeCache cache_{10'000};
  std::map<RoomNumber, uint64_t> ids_;
  CheckReport report_;
};

}  // namespace

Result<CheckReport> check_database(const kv::Snapshot& snapshot) {
  return Checker(snapshot).run();
}

}  // namespace polder::stores
