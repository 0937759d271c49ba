#include "homeserver/server/serve.h"

#include <atomic>
#include <csignal>
#include <cstdio>
#include <thread>

#include "homeserver/base/http/probe.h"
#include "homeserver/base/runtime/threads.h"
#include "homeserver/base/values/log.h"
#include "homeserver/rooms/engine/engine.h"
#include "homeserver/server/consistency.h"
#include "homeserver/server/descriptors.h"
#include "homeserver/server/homeserver.h"
#include "homeserver/server/offline.h"
#include "homeserver/server/recovery.h"
#include "homeserver/server/reload.h"
#include "homeserver/server/schema.h"
#include "homeserver/server/service_manager.h"
#include "homeserver/server/surroundings.h"
#include "homeserver/users/accounts/accounts.h"
#include "storage/backup/backup.h"
#include "storage/feed/followers.h"
#include "storage/kv/memory.h"
#include "storage/kv/rocks.h"
#include "storage/stores/base/columns.h"

namespace polder::server {
namespace {

// Of the two seconds that an operator is promised.
constexpr Millis kDrainTime{1500};
constexpr Millis kFollowersEnd{200};

http::ListenerOptions listener_options(const ListenerConfig& config) {
  http::ListenerOptions options;
  options.bind = config.bind;
  options.port = config.port;
  for (const Resource resource : config.resources)
    options.resources.set(static_cast<size_t>(resource));
  options.tls_certificate = config.tls_certificate;
  options.tls_key = config.tls_key;
  options.trusted_proxies = config.trusted_proxies;
  return options;
}

int failed(const std::string& what, const Error& error) {
  std::fprintf(stderr, "polder: %s: %s\n", what.c_str(), error.message.c_str());
  return 1;
}

struct Opened {
  std::unique_ptr<files::FileLock> lock;
  std::unique_ptr<kv::Database> database;
};

// Of the process. What is started anew has the same.
Descriptors descriptors_of(const Config& config) {
  return take_descriptors(static_cast<size_t>(config.limits.connections));
}

Result<Opened> open_database(const Config& config, files::FileSystem& files, Log& log) {
  Opened opened;
  POLDER_CHECK(files.create_directories(config.data_dir + "/database"));
  POLDER_TRY(opened.lock, files.lock(config.data_dir + "/lock"));
  POLDER_CHECK(backup::check_restored(files, config.data_dir));
  kv::RocksOptions options{.files = files, .log = log, .directory = config.data_dir + "/database"};
  options.cache_bytes = static_cast<size_t>(config.storage.cache_mb) << 20;
  options.write_buffer_bytes = static_cast<size_t>(config.storage.write_buffer_mb) << 20;
  options.log_keep_bytes = static_cast<uint64_t>(config.storage.log_mb) << 20;
  options.log_keep_seconds = static_cast<uint64_t>(config.storage.log_hours) * 3600;
  options.open_files_max = descriptors_of(config).database_files;
  POLDER_TRY(opened.database, kv::open_rocks(options, stores::kColumns));
  POLDER_CHECK(open_schema(*opened.database, config.server_name, log));
  return opened;
}

// For what looks at a server's data, or changes them: a wrong path must not become an empty server,
// which has no faults.
Result<Opened> open_existing(const Config& config, files::FileSystem& files, Log& log) {
  const auto there = files.list(config.data_dir + "/database");
  if (!there.ok())
    return fail(
        ErrorCode::kNotFound,
        "there is no server's data (data_dir of the configuration): " + there.error().message);
  return open_database(config, files, log);
}

// The real one.
struct Network {
  static Result<Network> open(const Config& config, runtime::Runtime& runtime) {
    Network network;
    POLDER_TRY(network.transport, http::make_transport(runtime, config.tls.extra_ca_files));
    POLDER_TRY(network.system_resolver, egress::make_system_resolver());
    network.resolver = egress::make_caching_resolver(*network.system_resolver, runtime.clock());
    return network;
  }

  std::unique_ptr<http::Transport> transport;
  std::unique_ptr<egress::Resolver> system_resolver;
  std::unique_ptr<egress::Resolver> resolver;  // remembers
};

enum class Ended : uint8_t {
  kBySignal,
  kByRepair,  // of a disk that had failed: to begin anew
};

// What of a run its end has to do with. Used on shard 0, once the threads run.
struct Running {
  runtime::Threads& threads;
  files::FileSystem& files;
  kv::Database& database;
  Homeserver& homeserver;
  http::Server& server;
  ConfigFile& config_file;
  base::SystemLog& log;
  std::optional<Ended> ended = {};
  bool reloading = false;
};

Task<void> end(Running& running, Ended how) {
  if (running.ended) co_return;
  running.ended = how;
  notify_service_manager(kStopping);
  co_await running.server.drain(kDrainTime);
  // Whoever takes longer handles the same once more after the next start.
  static_cast<void>(co_await running.homeserver.followers().stop(kFollowersEnd));
  co_await runtime::on_pool(running.threads, [&running] { running.homeserver.committer().stop(); });
  running.threads.stop();
}

Task<void> end_after_repair(Running& running, std::string data_dir) {
  co_await wait_for_repair(running.threads, running.files, running.database, std::move(data_dir));
  running.threads.log().info("restarting", {{"reason", "the disk works again"}});
  co_await end(running, Ended::kByRepair);
}

// SIGHUP: the configuration, the registrations, the certificates. All are read before one of them
// is taken, so that a mistake in any changes nothing.
Task<Status> reload(Running& running) {
  if (std::exchange(running.reloading, true)) co_return Status();
  notify_reloading();
  const Status reloaded =
      co_await runtime::on_pool(running.threads, runtime::Lane::kLong, [&running]() -> Status {
        POLDER_TRY(const auto certificates, running.server.read_certificates());
        return running.config_file.reload([&](const Config& config) -> Status {
          POLDER_CHECK(running.homeserver.reconfigure(config));
          running.server.use(*certificates);
          running.log.set_level(config.log_level);
          return {};
        });
      });
  notify_service_manager(kReady);
  running.reloading = false;
  co_return reloaded;
}

// The signals that the program waits for: two end it, one has it read its configuration, one wakes
// the thread that waits.
constexpr int kWake = SIGUSR1;
constexpr int kReload = SIGHUP;

sigset_t awaited_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, kReload, kWake})
    sigaddset(&signals, signal);
  return signals;
}

Error because(const std::string& what, const Error& error) {
  return fail(error.code, what + ": " + error.message);
}

http::ServerLimits server_limits(const Config& config, Log& log) {
  const auto bytes = [](int64_t mb) { return static_cast<uint64_t>(mb) << 20; };
  const Descriptors descriptors = descriptors_of(config);
  if (descriptors.connections < static_cast<size_t>(config.limits.connections)) {
    log.warning("fewer_connections",
                {{"connections", descriptors.connections},
                 {"descriptors", descriptors.all},
                 {"remedy", "raise LimitNOFILE= of the service, or ulimit -Hn"}});
  }
  const size_t all = descriptors.connections;
  const auto at_most = [](int64_t configured, size_t share) {
    return std::min(static_cast<size_t>(configured), std::max<size_t>(share, 1));
  };
  http::ServerLimits limits;
  // One listener, network or address leaves room for others, however few there are.
  limits.connections = {.all = all,
                        .listener = config.listeners.size() > 1 ? all - all / 4 : all,
                        .network = at_most(config.limits.connections_of_network, all / 2),
                        .address = at_most(config.limits.connections_of_address, all / 4)};
  limits.bodies = {bytes(config.limits.bodies_mb), bytes(config.limits.bodies_of_one_mb)};
  limits.answers = {bytes(config.limits.answers_mb), bytes(config.limits.answers_of_one_mb)};
  return limits;
}

Status listen_at(const ListenerConfig& listener, http::Server& server, Log& log) {
  POLDER_TRY(const auto addresses, bind_addresses(listener.bind));
  http::ListenerOptions options = listener_options(listener);
  for (const std::string& address : addresses) {
    options.bind = address;
    POLDER_TRY(options.port, server.listen(options));
    log.info("listening", {{"address", address}, {"port", options.port}});
  }
  return {};
}

Status listen(const Config& config, http::Server& server, Log& log) {
  for (const ListenerConfig& listener : config.listeners) {
    const Status listening = listen_at(listener, server, log);
    if (!listening.ok()) return because("cannot listen", listening.error());
  }
  return {};
}

void handle_signal(int signal, Running& running) {
  if (signal == kWake) return;
  const auto shard = running.threads.shard(0);
  if (signal == kReload) return runtime::spawn(running.threads, shard, "reload", reload(running));
  running.threads.log().info("stopping", {{"signal", signal}});
  runtime::spawn(running.threads, shard, "stop", end(running, Ended::kBySignal));
}

// Runs until something ends it.
Ended run_threads(Running& running, const Config& config) {
  std::atomic<bool> over = false;
  std::thread waiting([&running, &over] {
    const sigset_t signals = awaited_signals();
    for (int signal = kWake; signal == kWake || signal == kReload;) {
      sigwait(&signals, &signal);
      if (over) return;
      handle_signal(signal, running);
    }
  });
  runtime::spawn(running.threads, running.threads.shard(0), "repair",
                 end_after_repair(running, config.data_dir));
  running.threads.log().info("ready", {{"server_name", config.server_name}});
  notify_service_manager(kReady);
  running.threads.run();
  over = true;
  pthread_kill(waiting.native_handle(), kWake);
  waiting.join();
  return *running.ended;
}

Result<Ended> run(const Config& config, files::FileSystem& files, base::SystemLog& log,
                  ConfigFile& config_file) {
  const base::SystemClock clock;
  base::SystemRandom random;
  auto opened = open_database(config, files, log);
  if (!opened.ok()) return because("cannot open " + config.data_dir, opened.error());
  runtime::ThreadOptions options;
  options.shards = config.runtime.shards > 0 ? static_cast<size_t>(config.runtime.shards)
                                             : std::max(1u, std::thread::hardware_concurrency());
  options.pool_threads = static_cast<size_t>(config.runtime.pool_threads);
  const auto threads = runtime::Threads::create(options, clock, random, log);
  auto network = Network::open(config, *threads);
  if (!network.ok()) return because("cannot use the network", network.error());
  auto homeserver = Homeserver::create(
      config, {*threads, files, *opened->database, *network->transport, *network->resolver},
      &config_file.newest());
  if (!homeserver.ok()) return because("cannot start", homeserver.error());
  const Status started = (*homeserver)->start();
  if (!started.ok()) return because("cannot start", started.error());
  http::Server server(*threads, (*homeserver)->router(), server_limits(config, log));
  (*homeserver)->metrics().add([&server](metrics::Sink& sink) { http::probe(server, sink); });
  POLDER_CHECK(listen(config, server, log));
  Running running{*threads, files, *opened->database, **homeserver, server, config_file, log};
  const Ended ended = run_threads(running, config);
  network->system_resolver->stop();
  homeserver->reset();
  const Status closed = opened->database->close();
  if (!closed.ok() && ended == Ended::kBySignal)
    return because("closing the database", closed.error());
  return ended;
}

// Whether to try again what the disk refused, after a pause; not if a signal comes first.
bool try_again(const Error& error, Log& log) {
  if (error.code != ErrorCode::kIo && error.code != ErrorCode::kReadOnly) return false;
  log.error("cannot_restart", {{"reason", error.message}});
  const sigset_t signals = awaited_signals();
  const timespec pause{kDiskPause.count() / 1000, 0};
  const int signal = sigtimedwait(&signals, nullptr, &pause);
  return signal < 0 || signal == kReload;
}

}  // namespace

int serve(const Config& config, const std::string& path) {
  // Every thread inherits this mask; one of them waits for the signals.
  const sigset_t signals = awaited_signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // beyond a limit of size, a write fails like on a full disk
  const auto log = base::make_system_log(config.log_level);
  const auto files = files::real_files();
  for (const std::string& warning : readable_secrets(config, path))
    log->warning("readable_secret", {{"warning", warning}});
  const auto faults = unusable_certificates(config);
  for (const std::string& fault : faults)
    std::fprintf(stderr, "polder: %s: %s\n", path.c_str(), fault.c_str());
  if (!faults.empty()) return 2;  // docs/operations.md, "Exit codes"
  ConfigFile config_file(*files, path, config, *log);
  for (bool restarting = false;; restarting = true) {
    const auto ended = run(config, *files, *log, config_file);
    if (ended.ok() && *ended == Ended::kBySignal) break;
    if (ended.ok() || (restarting && try_again(ended.error(), *log))) continue;
    std::fprintf(stderr, "polder: %s\n", ended.error().message.c_str());
    return 1;
  }
  log->info("stopped");
  return 0;
}

namespace {

policy::Point point_of(UserCommand command) {
  switch (command) {
    case UserCommand::kCreate:
      return policy::Point::kRegister;
    case UserCommand::kDeactivate:
      return policy::Point::kDeactivate;
    default:
      return policy::Point::kPassword;
  }
}

Task<Status> change_user(Homeserver& homeserver, UserCommand command, UserArguments arguments) {
  users::Accounts& accounts = homeserver.accounts();
  const policy::Act act{.point = point_of(command), .target = arguments.localpart};
  kv::Batch with;  // what is on record of it
  POLDER_CO_CHECK(homeserver.rooms().writer.permit_known(act, policy::Administrator(), {}, &with));
  if (command == UserCommand::kCreate) {
    users::NewAccount account;
    account.localpart = arguments.localpart;
    account.password = arguments.password;
    account.admin = arguments.admin;
    account.with = std::move(with);
    POLDER_CO_CHECK(co_await accounts.register_user(std::move(account)));
    co_return Status();
  }
  POLDER_CO_TRY(const UserId user, UserId::create(arguments.localpart, accounts.parts().own_name));
  if (command == UserCommand::kDeactivate)
    co_return co_await accounts.deactivate(user, false, std::move(with));
  co_return co_await accounts.set_password(user, arguments.password, std::nullopt, std::move(with));
}

Task<void> run_and_stop(Task<Status> work, runtime::Threads& threads, Status& outcome) {
  outcome = co_await std::move(work);
  threads.stop();
}

// Does something with the homeserver of a database that no server has open; of a new one, if it may
// begin one.
int run_offline(const Config& config, bool may_begin, const std::string& what,
                const std::function<Task<Status>(Homeserver&)>& work) {
  const base::SystemClock clock;
  base::SystemRandom random;
  const auto log = base::make_system_log(LogLevel::kError);
  const auto files = files::real_files();
  auto opened =
      may_begin ? open_database(config, *files, *log) : open_existing(config, *files, *log);
  if (!opened.ok())
    return failed("cannot open " + config.data_dir + " (is the server running?)", opened.error());
  const auto threads =
      runtime::Threads::create({.shards = 1, .pool_threads = 2}, clock, random, *log);
  OfflineTransport transport;
  OfflineResolver resolver;
  auto homeserver =
      Homeserver::create(config, {*threads, *files, *opened->database, transport, resolver});
  if (!homeserver.ok()) return failed("cannot start", homeserver.error());
  Status outcome;
  runtime::spawn(*threads, threads->shard(0), "tool",
                 run_and_stop(work(**homeserver), *threads, outcome));
  threads->run();
  homeserver->reset();
  const Status closed = opened->database->close();
  if (!outcome.ok()) return failed(what, outcome.error());
  return closed.ok() ? 0 : failed("closing the database", closed.error());
}

}  // namespace

int run_user_command(const Config& config, UserCommand command, const UserArguments& arguments) {
  const bool creates = command == UserCommand::kCreate;
  const std::string what = (creates ? "cannot create " : "cannot change ") + arguments.localpart;
  return run_offline(config, creates, what, [&](Homeserver& homeserver) {
    return change_user(homeserver, command, arguments);
  });
}

int purge_room(const Config& config, const std::string& room) {
  const auto id = RoomId::parse(room);
  if (!id.ok()) return failed("no room id", id.error());
  return run_offline(config, false, "cannot purge " + room, [&](Homeserver& homeserver) {
    return homeserver.rooms().upkeep.purge(*id, policy::Administrator());
  });
}

int check_database(const Config& config) {
  const auto files = files::real_files();
  const auto log = base::make_system_log(LogLevel::kWarning);
  auto opened = open_existing(config, *files, *log);
  if (!opened.ok()) return failed("cannot open " + config.data_dir, opened.error());
  auto faults = check_consistency(*opened->database);
  if (!faults.ok()) return failed("cannot check", faults.error());
  const Status media = check_media(*opened->database, *files, config.data_dir + "/media", *faults);
  if (!media.ok()) return failed("cannot check", media.error());
  for (const std::string& fault : faults->faults)
    std::fprintf(stderr, "polder: %s\n", fault.c_str());
  std::printf("%s: %llu rooms, %llu events: %zu faults\n", config.data_dir.c_str(),
              static_cast<unsigned long long>(faults->rooms),
              static_cast<unsigned long long>(faults->events), faults->faults.size());
  return faults->faults.empty() ? 0 : 1;
}

int print_audit(const Config& config, const AuditFilter& filter) {
  const auto files = files::real_files();
  const auto log = base::make_system_log(LogLevel::kWarning);
  auto opened = open_existing(config, *files, *log);
  if (!opened.ok())
    return failed("cannot open " + config.data_dir + " (is the server running?)", opened.error());
  const Status listed = list_audit(*opened->database, filter,
                                   [](const std::string& line) { std::puts(line.c_str()); });
  return listed.ok() ? 0 : failed("cannot read the audit log", listed.error());
}

int print_routes() {
  // A homeserver of its own, in memory and in a directory that is thrown away.
  std::string directory = "/tmp/polder-routes-XXXXXX";
  if (mkdtemp(directory.data()) == nullptr)
    return failed("cannot make a directory", fail(ErrorCode::kIo, directory));
  const auto files = files::real_files();
  const base::SystemClock clock;
  base::SystemRandom random;
  base::NullLog log;
  const auto threads =
      runtime::Threads::create({.shards = 1, .pool_threads = 1}, clock, random, log);
  kv::MemoryDisk disk;
  const auto database = kv::open_memory(stores::kColumns, disk);
  OfflineTransport transport;
  OfflineResolver resolver;
  Config config;
  config.server_name = ServerName::trusted("localhost");
  config.data_dir = directory;
  const auto homeserver =
      Homeserver::create(config, {*threads, *files, *database, transport, resolver});
  static_cast<void>(files->remove_file(directory + "/signing.key"));
  static_cast<void>(files->remove_directory(directory));
  if (!homeserver.ok()) return failed("cannot start", homeserver.error());
  for (const http::Route* route : (*homeserver)->router().routes()) {
    for (const std::string_view word :
         {http::to_string(route->method), route->path, route->operation})
      std::printf("%s ", std::string(word).c_str());
    std::printf("%s\n", std::string(http::to_string(route->authentication)).c_str());
  }
  return 0;
}

}  // namespace polder::server
