// The running program: real threads, real disk, real network.
#pragma once

#include "homeserver/server/audit.h"
#include "homeserver/server/config.h"

namespace polder::server {

// Serves until SIGTERM or SIGINT; then finishes what is under way, for two seconds at most. Gives
// the process's exit code. `path` is the configuration's file.
int serve(const Config& config, const std::string& path);

// Checks the consistency of a database that no server has open: names, events, timelines, state
// maps, extremities. Prints what is wrong; gives the process's exit code.
int check_database(const Config& config);

// Prints the audit log of a server that is not running; gives the process's exit code.
int print_audit(const Config& config, const AuditFilter& filter);

// Prints method and path of every route; needs no configuration.
int print_routes();

// What `polder user` does to the database of a server that is not running.
enum class UserCommand : uint8_t { kCreate, kPassword, kDeactivate };
struct UserArguments {
  std::string localpart;
  std::string password;  // for kCreate and kPassword
  bool admin = false;    // for kCreate
};
int run_user_command(const Config& config, UserCommand command, const UserArguments& arguments);

// Removes a room that no local user is in from the database of a server that is not running.
int purge_room(const Config& config, const std::string& room);

}  // namespace polder::server
