#include "homeserver/rooms/upkeep/reclaim.h"

#include "homeserver/base/runtime/repeat.h"
#include "storage/stores/rooms/purge_rows.h"
#include "storage/stores/rooms/state_sweep.h"

namespace polder::rooms {
namespace {

constexpr size_t kReadsAtOnce = 500;  // milliseconds of a thread of the pool
constexpr size_t kRowsAtOnce = 500;
constexpr Millis kBreathOfReclaim{5};  // between two steps, for others

}  // namespace

Task<void> Reclaimer::run(Millis pause) {
  return runtime::repeat(runtime_, kReclaimJob, pause, [this] { return pass_and_tell(); });
}

Task<Status> Reclaimer::pass_and_tell() {
  POLDER_CO_TRY(const uint64_t rows, co_await pass());
  if (rows > 0) runtime_.log().info("reclaimed", {{"state_rows", rows}});
  co_return Status();
}

Task<Result<uint64_t>> Reclaimer::pass() {
  POLDER_CO_TRY(
      const Rooms rooms,
      co_await runtime::on_pool(runtime_, runtime::Lane::kLong, [this]() -> Result<Rooms> {
        Rooms all;
        const auto snapshot = database_.snapshot();
        POLDER_CHECK(stores::for_each_room(
            *snapshot, [&](RoomNumber number, const stores::RoomRecord& record) -> Status {
              POLDER_TRY(const auto purge, stores::read_history_purge(*snapshot, number));
              all.push_back({number, record.last_node, purge && purge->done ? purge->below : 0});
              return {};
            }));
        return all;
      }));
  uint64_t rows = 0;
  for (size_t done = 0; const Listed& room : rooms) {
    if (runtime_.jobs().stop_asked(kReclaimJob)) break;
    runtime_.jobs().progress(kReclaimJob, ++done, rooms.size());
    const auto before = seen_.find(room.number);
    // One that was purged and entered again begins anew.
    const bool known = before != seen_.end() && before->second.last_node <= room.last_node;
    const bool grew = known && before->second.last_node != room.last_node;
    const bool shrank = known && before->second.purged != room.purged;
    const bool sweeps = known && (!before->second.swept || shrank);
    if (sweeps) {
      POLDER_CO_TRY(const uint64_t gone, co_await sweep(room.number, before->second.last_node));
      rows += gone;
    }
    if (!known || grew || sweeps)
      seen_[room.number] = {room.last_node, sweeps && !grew, room.purged};
  }
  co_return rows;
}

Task<Result<uint64_t>> Reclaimer::sweep(RoomNumber room, uint64_t upto) {
  auto sweep = std::make_shared<std::optional<stores::StateSweep>>();
  for (bool done = false; !done;) {
    POLDER_CO_TRY(done, co_await runtime::on_pool(
                            runtime_, runtime::Lane::kLong, [=, this]() -> Result<bool> {
                              if (!*sweep) {
                                const auto snapshot = database_.snapshot();
                                POLDER_TRY(auto record, stores::read_room(*snapshot, room));
                                if (!record) return true;
                                sweep->emplace(room, snapshot, *std::move(record), upto);
                              }
                              return (*sweep)->step(kReadsAtOnce);
                            }));
    if (!done) co_await runtime::sleep_for(runtime_, kBreathOfReclaim);
  }
  if (!*sweep) co_return uint64_t{0};
  const std::vector<uint64_t> rows = (*sweep)->unreachable_rows();
  sweep->reset();  // and its snapshot
  for (size_t from = 0; from < rows.size(); from += kRowsAtOnce) {
    kv::Batch batch;
    const size_t count = std::min(kRowsAtOnce, rows.size() - from);
    stores::erase_state_rows(batch, room, std::span(rows).subspan(from, count));
    POLDER_CO_CHECK(co_await committer_.commit(std::move(batch), kv::Durability::kLazy));
  }
  co_return rows.size();
}

}  // namespace polder::rooms
