#include "tests/crash/power_scenario.h"

#include "homeserver/rooms/engine/engine.h"
#include "storage/stores/base/columns.h"
#include "storage/stores/base/names.h"
#include "storage/stores/rooms/event_rows.h"
#include "storage/stores/rooms/state_node.h"

namespace polder::crash {
namespace {

constexpr size_t kClients = 6;
constexpr size_t kActs = 25;            // of each in a round
constexpr uint64_t kActsChanges = 200;  // of the disk: fewer than they cause
constexpr uint64_t kOpeningChanges = 40;
constexpr uint64_t kEnteringChanges = 16;
constexpr size_t kAtticSays = 250;       // more events than are purged in one step
constexpr uint64_t kGarbageRows = 1200;  // more than are erased in one batch
// Two of the disk's changes, an append and a sync, are one group of batches.
constexpr uint64_t kReclaimChanges = 6;
constexpr uint64_t kPurgeChanges = 6;
constexpr size_t kHostSays = 5;
constexpr const char* kOwn = "own.example";
constexpr const char* kOther = "other.example";

Task<void> create(Client& client, std::string version, std::string& room) {
  room = co_await client.create_room(std::move(version));
}

}  // namespace

Scenario::Scenario(uint64_t seed, Tally& tally)
    : tally_(tally),
      machine_(seed),
      ledger_{machine_.random(), machine_.disk()},
      abroad_{machine_.random(), machine_.disk()} {
  for (size_t i = 0; i < kClients; ++i)
    clients_.push_back(std::make_unique<Client>(ledger_, "client" + std::to_string(i)));
  hosts_.push_back(std::make_unique<Client>(abroad_, "host"));
}

size_t Scenario::acknowledged() const {
  size_t sum = 0;
  for (const auto& [room, events] : ledger_.events)
    sum += events.size();
  return sum;
}

void Scenario::must(const Status& status, std::string_view what) {
  if (!status.ok()) ledger_.finding(std::string(what) + ": " + status.error().message);
}

void Scenario::finish() {
  if (!machine_.finish()) ledger_.finding("something does not end");
}

void Scenario::run(Task<void> task) {
  begin(std::move(task));
  finish();
}

Status Scenario::open() {
  POLDER_CHECK(machine_.open_database());
  POLDER_CHECK(machine_.start_homeserver());
  for (const auto& client : clients_)
    client->meet(machine_.own().router(), clients_);
  return {};
}

void Scenario::found() {
  must(open(), "a new server does not start");
  if (!ledger_.findings.empty()) return;
  hosts_.front()->meet(machine_.other().router(), hosts_);
  for (const auto& client : clients_)
    begin(client->sign_up());
  machine_.begin(machine_.other(), hosts_.front()->sign_up());
  finish();
  machine_.begin(machine_.other(), create(*hosts_.front(), "12", far_));
  finish();
  for (const char* version : {"11", "12"}) {
    std::string room;
    run(create(*clients_.front(), version, room));
    ledger_.public_rooms.push_back(room);
    for (size_t i = 1; i < kClients; ++i)
      run(clients_[i]->enter(room, kOwn));
  }
  run(clients_.front()->enter(far_, kOther));
}

// The power is gone, or goes now; it may go again while the server starts.
void Scenario::recover() {
  const auto kept = [this] {
    return random().below(2) == 0 ? 0 : static_cast<unsigned>(random().below(101));
  };
  machine_.lose_power(kept());
  if (random().below(3) == 0) {
    machine_.disk().cut_power_at(1 + random().below(kOpeningChanges));
    static_cast<void>(open());
    if (is_cut()) ++tally_.opening;
    machine_.lose_power(kept());
  }
  must(open(), "the server does not start");
  if (ledger_.findings.empty()) check_database();
}

void Scenario::check_database() {
  const auto report = machine_.check();
  must(report.ok() ? Status() : Status(report.error()), "the database cannot be read");
  if (!report.ok()) return;
  for (const std::string& fault : report->faults)
    ledger_.finding(fault);
}

void Scenario::check(bool all) {
  for (const auto& client : clients_)
    begin(client->resume());
  finish();
  for (const auto& client : clients_)
    begin(client->check(all));
  finish();
  check_database();
}

void Scenario::begin_acts() {
  for (const auto& client : clients_)
    begin(client->act(kActs));
  machine_.begin(machine_.other(), hosts_.front()->say_often(far_, kHostSays));
}

// What the host's server was told has come: it is here for good, too.
void Scenario::expect_host_messages() {
  settle();
  for (std::string& id : std::exchange(abroad_.events[far_], {}))
    ledger_.events[far_].push_back(std::move(id));
}

void Scenario::round(size_t number) {
  const size_t turn = number / 5;
  switch (number % 5) {
    case 0:
      reclaim(turn);
      break;
    case 1:
      purge(turn);
      break;
    case 2:
      enter_again(turn);
      break;
    default:
      act();
      break;
  }
  if (!ledger_.findings.empty()) return;
  expect_host_messages();
  check(false);
}

void Scenario::act() {
  machine_.disk().cut_power_at(1 + random().below(kActsChanges));
  begin_acts();
  finish();
  if (is_cut()) ++tally_.acting;
  recover();
}

// --- While rows of state are erased. ---

// States that were stored for events which were refused then: nothing leads to them.
Status Scenario::sow_garbage() {
  kv::Database& database = machine_.database();
  POLDER_TRY(const auto names, stores::Names::open(database));
  POLDER_TRY(const auto room, names->find(stores::NameKind::kRoom, ledger_.public_rooms.front()));
  POLDER_TRY(auto record, stores::read_room(*database.snapshot(), *room));
  const auto node =
      std::make_shared<const stores::StateNode>(stores::StateNode{0, 0, {{{1, 1}, 1, 0}}});
  kv::Batch batch;
  uint64_t row = record->last_node / stores::kNodesPerRow;
  for (uint64_t i = 0; i < kGarbageRows; ++i) {
    record->last_node = ++row * stores::kNodesPerRow;
    stores::put_state_row(batch, *room, row, {{record->last_node, node, 0, {}}});
  }
  stores::put_room(batch, *room, *record);
  const kv::Batch* batches[] = {&batch};
  return database.write(batches, database.last_position() + 1, true);
}

size_t Scenario::state_rows() {
  size_t rows = 0;
  const auto snapshot = machine_.database().snapshot();
  const auto walk = snapshot->iterate(stores::kStateNodes, {});
  for (walk->seek_to_first(); walk->valid(); walk->next())
    ++rows;
  return rows;
}

void Scenario::reclaim(size_t turn) {
  machine_.lose_power(0);
  must(machine_.open_database(), "the database does not open");
  if (ledger_.findings.empty()) must(sow_garbage(), "rows cannot be written");
  if (!ledger_.findings.empty()) return;
  const size_t before = state_rows();
  must(machine_.start_homeserver(), "the server does not start");
  settle();
  machine_.disk().cut_power_at(1 + turn % kReclaimChanges);
  machine_.simulation().run_for(Millis(kReclaimHours * 3'600'000));
  if (!is_cut()) ledger_.finding("nothing was reclaimed");
  recover();
  if (!ledger_.findings.empty()) return;
  const size_t after = state_rows();
  if (after < before && after + kGarbageRows > before) ++tally_.reclaiming;
  // The next time, nothing stops it.
  machine_.simulation().run_for(Millis(2 * kReclaimHours * 3'600'000));
  if (state_rows() + kGarbageRows > before) ledger_.finding("rows are left that nothing leads to");
}

// --- While a room is purged, and when it is entered again. ---

Task<void> purge(rooms::RoomUpkeep& upkeep, RoomId room, Status& outcome) {
  outcome = co_await upkeep.purge(std::move(room), policy::Administrator());
}

std::optional<stores::PurgeRow> Scenario::purge_row(const std::string& room) {
  const auto names = *stores::Names::open(machine_.database());
  const auto number = *names->find(stores::NameKind::kRoom, room);
  return *stores::read_purge(*machine_.database().snapshot(), *number);
}

void Scenario::expect_purged(const std::string& room, const std::vector<std::string>& events) {
  const auto row = purge_row(room);
  if (!row || !row->done) ledger_.finding(room + " is not purged");
  const auto snapshot = machine_.database().snapshot();
  for (const std::string& id : events) {
    const auto place = stores::find_event(*snapshot, EventId::trusted(id));
    if (!place.ok() || *place) ledger_.finding(id + " of a purged room is there");
  }
}

void Scenario::purge(size_t turn) {
  Client& keeper = *clients_.back();
  std::string attic;
  run(create(keeper, "12", attic));
  run(keeper.say_often(attic, kAtticSays));
  run(keeper.leave(attic));
  const auto events = ledger_.events.extract(attic).mapped();
  keeper.forget(attic);
  settle();
  const bool quiet = turn % 2 == 0;
  machine_.disk().cut_power_at(quiet ? 1 + turn / 2 % kPurgeChanges
                                     : 1 + random().below(kActsChanges));
  Status outcome;
  begin(crash::purge(machine_.own().rooms().upkeep, RoomId::trusted(attic), outcome));
  if (!quiet) begin_acts();
  finish();
  recover();
  if (!ledger_.findings.empty()) return;
  const auto row = purge_row(attic);
  if (row && !row->done) ++tally_.purging;
  settle();
  if (!row) {
    run(crash::purge(machine_.own().rooms().upkeep, RoomId::trusted(attic), outcome));
    must(outcome, "a room cannot be purged");
  }
  expect_purged(attic, events);
}

void Scenario::enter_again(size_t turn) {
  Client& client = *clients_.front();
  run(client.leave(far_));
  settle();
  const auto events = std::exchange(ledger_.events[far_], {});
  client.forget(far_);
  Status outcome;
  run(crash::purge(machine_.own().rooms().upkeep, RoomId::trusted(far_), outcome));
  must(outcome, "a room cannot be purged");
  expect_purged(far_, events);
  machine_.disk().cut_power_at(1 + (turn * 7 + random().below(7)) % kEnteringChanges);
  run(client.enter(far_, kOther));
  if (is_cut()) ++tally_.entering;
  recover();
  if (!ledger_.findings.empty()) return;
  run(client.resume());
  if (!client.is_in(far_)) run(client.enter(far_, kOther));
}

}  // namespace polder::crash
