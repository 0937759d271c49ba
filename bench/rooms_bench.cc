// Appending to rooms of several sizes, and what an event takes on disk.
#include "bench/support/big_room.h"
#include "homeserver/rooms/engine/engine.h"
#include "storage/stores/base/columns.h"

namespace polder::rooms {
namespace {

using bench::BigRoom;
using bench::LocalServer;
using bench::must;

// Each benchmark has a room of its own in one server, made when it first runs.
class MeasuredRooms {
 public:
  BigRoom& room(const std::string& name, size_t members) {
    if (!server_) server_ = std::make_unique<LocalServer>();
    auto& room = rooms_[name];
    if (!room) room = std::make_unique<BigRoom>(*server_, name, members);
    return *room;
  }

 private:
  std::unique_ptr<LocalServer> server_;
  std::map<std::string, std::unique_ptr<BigRoom>> rooms_;
};

enum class Kind : uint8_t { kMessage, kMembership };

// Members leave and come back, so that the room keeps its size.
std::vector<LocalEvent> events_for(BigRoom& room, Kind kind, size_t count) {
  std::vector<LocalEvent> events;
  for (size_t i = 0; i < count; ++i) {
    if (kind == Kind::kMessage) {
      events.push_back(room.message());
    } else {
      const size_t member = 1 + i / 2 * 7919 % (room.members() - 1);
      events.push_back(room.membership(member, i % 2 == 0 ? "leave" : "join"));
    }
  }
  return events;
}

void append(benchmark::State& state, const std::shared_ptr<MeasuredRooms>& rooms,
            const std::string& name, Kind kind) {
  BigRoom& room = rooms->room(name, static_cast<size_t>(state.range(0)));
  auto events = events_for(room, kind, static_cast<size_t>(state.max_iterations));
  const auto before = bench::cpu_time();
  const bench::Latencies latencies = room.send_all(std::move(events));
  const std::chrono::duration<double, std::micro> cpu = bench::cpu_time() - before;
  latencies.report(state);
  state.counters["cpu_us"] = cpu.count() / static_cast<double>(state.max_iterations);
  bench::set_result(state, room.text());
}

// --- What is on disk ---

struct Measured {
  uint64_t events = 0;
  uint64_t json = 0;   // canonical JSON of all events
  uint64_t rows = 0;   // keys and values of every column
  uint64_t state = 0;  // of these, of the persistent maps
  uint64_t files = 0;  // after full compaction
};

Measured measure(kv::Database& database) {
  must(database.flush());
  must(database.compact());
  Measured measured;
  measured.files = must(database.disk_bytes());
  const auto snapshot = database.snapshot();
  for (kv::ColumnId column = 0; column < stores::kColumnCount; ++column) {
    const auto rows = snapshot->iterate(column, {});
    for (rows->seek_to_first(); rows->valid(); rows->next()) {
      const size_t size = rows->key().size() + rows->value().size();
      measured.rows += size;
      if (column == stores::kStateNodes) measured.state += size;
      if (column != stores::kEvents) continue;
      ++measured.events;
      measured.json += rows->value().size();
    }
    must(rows->status());
  }
  return measured;
}

// A room of its own server, so that nothing else is counted.
void disk(benchmark::State& state, size_t members, size_t messages) {
  LocalServer server;
  Measured measured;
  for ([[maybe_unused]] auto _ : state) {
    BigRoom room(server, "disk", members);
    room.send_pipelined(events_for(room, Kind::kMessage, messages), 32);
    measured = measure(server.database());
    bench::set_result(state, std::to_string(measured.json));
  }
  const auto per_event = [&](uint64_t bytes) {
    return static_cast<double>(bytes) / static_cast<double>(measured.events);
  };
  state.counters["events"] = static_cast<double>(measured.events);
  state.counters["json_per_event"] = per_event(measured.json);
  state.counters["rows_per_event"] = per_event(measured.rows);
  state.counters["state_per_event"] = per_event(measured.state);
  state.counters["disk_per_event"] = per_event(measured.files);
  state.counters["rows_to_json"] = per_event(measured.rows) / per_event(measured.json);
  state.counters["disk_to_json"] = per_event(measured.files) / per_event(measured.json);
}

}  // namespace

void add_benchmarks(const bench::Options& options) {
  const auto rooms = std::make_shared<MeasuredRooms>();
  const std::vector<int64_t> sizes =
      options.smoke ? std::vector<int64_t>{10, 20} : std::vector<int64_t>{10, 1000, 50'000};
  for (const auto& [kind, kind_name] :
       {std::pair(Kind::kMessage, "message"), std::pair(Kind::kMembership, "membership")}) {
    const std::string name = std::string("rooms/append/") + kind_name;
    for (const int64_t size : sizes) {
      const std::string own = name + "/" + std::to_string(size);
      benchmark::RegisterBenchmark(name.c_str(), append, rooms, own, kind)
          ->ArgName("members")
          ->Arg(size)
          ->UseManualTime()
          ->Iterations(options.smoke ? 4 : 1000);
    }
  }
  const size_t many = options.smoke ? 20 : 20'000;
  const auto once = [](benchmark::internal::Benchmark* added) {
    added->Iterations(1)->Repetitions(1)->Unit(benchmark::kMillisecond);
  };
  once(benchmark::RegisterBenchmark("rooms/disk/messages", disk, size_t{10}, many));
  once(benchmark::RegisterBenchmark("rooms/disk/joins", disk, many, size_t{0}));
  once(benchmark::RegisterBenchmark("rooms/disk/both", disk, many / 10, many));
  once(benchmark::RegisterBenchmark("rooms/disk/large", disk, many * 5 / 2, many * 15 / 2));
}

}  // namespace polder::rooms

int main(int argc, char** argv) {
  return polder::bench::run(argc, argv, polder::rooms::add_benchmarks);
}
