// The command line.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>

#include "appservices/registry/load.h"
#include "homeserver/server/backups.h"
#include "homeserver/server/config.h"
#include "homeserver/server/policy_command.h"
#include "homeserver/server/reload.h"
#include "homeserver/server/schema.h"
#include "homeserver/server/serve.h"
#include "homeserver/server/surroundings.h"
#include "storage/files/files.h"
#include "storage/stores/base/row_forms.h"

// How jemalloc, which the optimised program is linked with, gives memory back: within a second, on
// a thread of its own, and with few places where what was freed waits to be used again.
// https://jemalloc.net/jemalloc.3.html#opt.dirty_decay_ms
extern "C" const char* malloc_conf;  // NOLINT: named by jemalloc
const char* malloc_conf =            // NOLINT
    "background_thread:true,dirty_decay_ms:500,muzzy_decay_ms:0,narenas:2,tcache_max:4096";

namespace polder::server {
namespace {

constexpr size_t kBackupsKept = 7;
constexpr int kBackupsKeptMax = 10'000;
// The exit code of bad usage or a bad configuration (docs/operations.md, "Exit codes").
constexpr int kBadUsage = 2;

struct ReadConfig {
  std::string text;
  Config config;
};

Result<ReadConfig> read_config(const std::string& path) {
  ReadConfig read;
  POLDER_TRY(read.text, files::real_files()->read_all(path, kConfigBytesMax));
  POLDER_TRY(read.config, parse_config(read.text));
  return read;
}

// The first line of standard input: a password never stands on a command line, which others can
// read.
std::string read_password() {
  std::string line;
  std::getline(std::cin, line);
  return line;
}

int with_text(const std::string& path, const std::function<int(const ReadConfig&)>& run) {
  const auto read = read_config(path);
  if (!read.ok()) {
    std::fprintf(stderr, "polder: %s:\n%s\n", path.c_str(), read.error().message.c_str());
    return kBadUsage;
  }
  return run(*read);
}

int with_config(const std::string& path, const std::function<int(const Config&)>& run) {
  return with_text(path, [&](const ReadConfig& read) { return run(read.config); });
}

// What the file says is good; now what it means here.
int check_config(const Config& config, const std::string& path) {
  for (const std::string& warning : readable_secrets(config, path))
    std::fprintf(stderr, "polder: warning: %s\n", warning.c_str());
  auto faults = unknown_binds(config);
  for (std::string& fault : unusable_certificates(config))
    faults.push_back(std::move(fault));
  for (const std::string& fault : faults)
    std::fprintf(stderr, "polder: %s: %s\n", path.c_str(), fault.c_str());
  const auto registry = appservices::load_registry(
      *files::real_files(), config.appservices.directory, config.server_name);
  if (!registry.ok()) std::fprintf(stderr, "polder: %s\n", registry.error().message.c_str());
  if (!faults.empty() || !registry.ok()) return kBadUsage;
  return std::puts("The configuration is good.") < 0 ? 1 : 0;
}

int run(int argc, char** argv) {
  CLI::App app{"Polder, a Matrix homeserver"};
  app.require_subcommand(1);
  app.set_version_flag("--version",
                       "polder " POLDER_VERSION ", schema " + std::to_string(kSchemaNumber));
  std::string path;
  const auto takes_config = [&](CLI::App* command) {
    command->add_option("--config", path, "the configuration file")->required();
  };

  CLI::App* serving = app.add_subcommand("serve", "Run the homeserver until SIGTERM");
  takes_config(serving);
  CLI::App* checking = app.add_subcommand(
      "check", "Check the consistency of the database, which no server may have open");
  takes_config(checking);
  CLI::App* backing_up =
      app.add_subcommand("backup", "Copy everything to another directory, while the server runs");
  takes_config(backing_up);
  std::string backup_dir;
  size_t backups_kept = kBackupsKept;
  backing_up->add_option("--to", backup_dir, "the directory of the backups")->required();
  backing_up->add_option("--keep", backups_kept, "how many backups stay there, with this one")
      ->check(CLI::Range(1, kBackupsKeptMax))
      ->capture_default_str();
  CLI::App* restoring = app.add_subcommand("restore", "Put a backup into an empty data directory");
  RestoreArguments restored;
  restoring->add_option("--from", restored.from, "the directory of the backups")->required();
  restoring->add_option("--to", restored.to,
                        "the data directory; left out: only read the backup, and verify it");
  restoring->add_option("--number", restored.number, "which backup; left out: the newest");
  CLI::App* user =
      app.add_subcommand("user", "Users, while the server is not running")->require_subcommand(1);
  UserArguments arguments;
  CLI::App* create =
      user->add_subcommand("create", "Create a user; the password is read from standard input");
  CLI::App* password =
      user->add_subcommand("password", "Set a user's password, read from standard input");
  CLI::App* deactivate = user->add_subcommand(
      "deactivate", "Deactivate a user for good: no log-in any more; the name stays taken");
  for (CLI::App* command : {create, password, deactivate}) {
    takes_config(command);
    command
        ->add_option("localpart", arguments.localpart, "the part of the user id before the colon")
        ->required();
  }
  create->add_flag("--admin", arguments.admin, "the user may use the admin API");
  CLI::App* room =
      app.add_subcommand("room", "Rooms, while the server is not running")->require_subcommand(1);
  std::string room_id;
  CLI::App* purge = room->add_subcommand("purge", "Remove a room that no local user is in");
  takes_config(purge);
  purge->add_option("room_id", room_id, "the room")->required();
  CLI::App* config = app.add_subcommand("config", "The configuration")->require_subcommand(1);
  CLI::App* example =
      config->add_subcommand("example", "Print every key with its documentation and default");
  CLI::App* config_check = config->add_subcommand("check", "Check a configuration file");
  takes_config(config_check);

  CLI::App* policy =
      app.add_subcommand("policy", "The rules about who may do what")->require_subcommand(1);
  CLI::App* policy_test = policy->add_subcommand(
      "test", "Explain what the policy says of an act, given facts about it");
  std::vector<std::string> policy_words;
  policy_test->add_option("words", policy_words,
                          "the act and the facts; without any: which there are");
  CLI::App* auditing =
      app.add_subcommand("audit",
                         "Print what was refused, or only a privilege permitted, a line of JSON "
                         "each, while the server is not running");
  takes_config(auditing);
  AuditFilter audited;
  auditing->add_option("--after", audited.after, "only records behind this position");
  auditing->add_option("--actor", audited.actor, "only of this user or server");
  auditing->add_option("--act", audited.act, "only of this act");
  auditing->add_option("--room", audited.room, "only in this room");
  auditing->add_flag("--refused", audited.refused, "only what was refused");
  auditing->add_option("--limit", audited.limit, "no more than so many; left out: all");
  CLI::App* routes = app.add_subcommand(
      "routes",
      "Print the route table: method, path, id of every operation served, and who may ask");

  CLI::App* formats = app.add_subcommand(
      "formats", "Print every kind of row of the database: docs/formats/columns.md");

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {  // or --help, --version: these are no faults
    return app.exit(error) == 0 ? 0 : kBadUsage;
  }
  if (*serving) return with_config(path, [&](const Config& read) { return serve(read, path); });
  if (*checking) return with_config(path, check_database);
  if (*backing_up) {
    return with_text(path, [&](const ReadConfig& read) {
      return back_up(read.config, read.text, backup_dir, backups_kept);
    });
  }
  if (*restoring) return restore(restored);
  if (*user) {
    if (!*deactivate) arguments.password = read_password();
    const UserCommand command = *create     ? UserCommand::kCreate
                                : *password ? UserCommand::kPassword
                                            : UserCommand::kDeactivate;
    return with_config(
        path, [&](const Config& read) { return run_user_command(read, command, arguments); });
  }
  if (*purge)
    return with_config(path, [&](const Config& read) { return purge_room(read, room_id); });
  if (*policy_test) return run_policy_test(policy_words);
  if (*auditing)
    return with_config(path, [&](const Config& read) { return print_audit(read, audited); });
  if (*routes) return print_routes();
  if (*formats) return std::fputs(stores::describe_rows().c_str(), stdout) < 0 ? 1 : 0;
  if (*example) return std::fputs(config_example().c_str(), stdout) < 0 ? 1 : 0;
  return with_config(path, [&](const Config& read) { return check_config(read, path); });
}

}  // namespace
}  // namespace polder::server

int main(int argc, char** argv) {
  return polder::server::run(argc, argv);
}
