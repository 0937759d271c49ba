// What is measured. Each sets itself up with new users and rooms, over the same API, and checks the
// content of what it was answered: any difference, and any request that fails, is an error instead
// of a report. They run on one shard.
#pragma once

#include "bench/load/stage.h"

namespace polder::load {

using Reports = Task<Result<std::vector<Report>>>;

// Users send in several rooms, each with one message under way at a time; then all is read back.
struct Messages {
  size_t users = 32;
  size_t rooms = 8;  // each user is in one
  size_t seconds = 10;
  size_t warm_up = 2;  // seconds before that
  size_t text_bytes = 100;
  size_t rate = 0;       // messages per second of all together; 0: as fast as they are answered
  size_t patience = 60;  // seconds to look for messages without finding any more of them
};
Reports measure_messages(Stage& stage, Messages plan);

// One talks, the others wait for it in /sync; who talks waits until all have heard.
struct FanOut {
  size_t listeners = 300;
  size_t seconds = 10;
};
Reports measure_fan_out(Stage& stage, FanOut plan);

// /sync without a token by users who share rooms, all at once. A profile says how many events of
// each timeline are wanted, and whether all members (F) or only theirs (T): as in the study of SBRC
// 2026 (doi 10.5753/sbrc.2026.19722), which had 200 users, 300 rooms and 300 members.
struct InitialSync {
  size_t users = 30;  // who sync, of the members
  size_t rooms = 20;
  size_t members = 30;   // of each room, the same in all
  size_t times = 1;      // that each user does so: again, Synapse answers from a cache
  size_t messages = 20;  // in each room; at least as many as a profile wants
  std::vector<std::string> profiles = {"20T", "10F"};
};
Reports measure_initial_sync(Stage& stage, InitialSync plan);

// Users join public rooms of their own server, each one after the other.
struct Joins {
  size_t users = 20;
  size_t rooms = 5;
};
Reports measure_joins(Stage& stage, Joins plan);

// Users join rooms of another server, each its own, the first of their server in it.
struct RemoteJoins {
  size_t users = 10;
  size_t members = 20;  // of each room before
  size_t at_once = 4;
};
Reports measure_remote_joins(Stage& stage, const Target& remote, RemoteJoins plan);

// Users wait in /sync, and nothing happens; then something does, and each must hear of it.
struct Idle {
  size_t users = 300;
  size_t rooms = 10;  // each user is in one
  size_t seconds = 10;
  size_t warm_up = 2;
};
Reports measure_idle(Stage& stage, Idle plan);

}  // namespace polder::load
