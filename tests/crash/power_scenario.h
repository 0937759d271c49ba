// A homeserver, its clients, and what becomes of them when the power goes.
#pragma once

#include "storage/stores/rooms/purge_rows.h"
#include "tests/crash/power_clients.h"
#include "tests/crash/power_machine.h"

namespace polder::crash {

// When the power went.
struct Tally {
  size_t acting = 0;      // while clients used the server
  size_t reclaiming = 0;  // when some state rows were erased, and others not
  size_t purging = 0;     // after a purge had begun, before it had ended
  size_t entering = 0;    // while a room that had been purged was entered again
  size_t opening = 0;     // once more, while the server started

  bool has_all() const {
    return acting > 0 && reclaiming > 0 && purging > 0 && entering > 0 && opening > 0;
  }
};

class Scenario {
 public:
  Scenario(uint64_t seed, Tally& tally);

  // The first life, with power.
  void found();
  // One power cut, and what is found afterwards. The number decides when it comes.
  void round(size_t number);
  // All that was ever promised.
  void check_all() { check(true); }

  const std::vector<std::string>& findings() const { return ledger_.findings; }
  size_t acknowledged() const;  // events

 private:
  void must(const Status& status, std::string_view what);
  Random& random() { return machine_.random(); }
  bool is_cut() const { return !ledger_.disk.powered(); }
  void begin(Task<void> task) { machine_.begin(machine_.own(), std::move(task)); }
  void finish();
  void run(Task<void> task);
  void settle() { machine_.simulation().run_for(Millis(60'000)); }

  Status open();
  void recover();
  void check(bool all);
  void check_database();
  void begin_acts();
  void expect_host_messages();

  void act();
  void reclaim(size_t turn);
  void purge(size_t turn);
  void enter_again(size_t turn);

  Status sow_garbage();
  size_t state_rows();
  void purge_room(const std::string& room);
  std::optional<stores::PurgeRow> purge_row(const std::string& room);
  void expect_purged(const std::string& room, const std::vector<std::string>& events);

  Tally& tally_;
  Machine machine_;
  Ledger ledger_;
  Ledger abroad_;  // of the other server
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<std::unique_ptr<Client>> hosts_;  // one, of the other server
  std::string far_;                             // the host's room
};

}  // namespace polder::crash
