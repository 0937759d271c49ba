// Measures any homeserver from outside, over nothing but the client-server API: one line of JSON
// for each thing that was measured. Exits with 1, and reports nothing, if a request failed or what
// was answered is not what it should be.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "bench/load/workloads.h"
#include "homeserver/base/egress/resolver.h"
#include "homeserver/base/runtime/threads.h"
#include "homeserver/base/values/log.h"

namespace polder::load {
namespace {

struct Arguments {
  std::string url, remote_url, prefix;
  std::vector<std::string> ca_files;
  Server server;
  std::function<Reports(Stage&, const Target& remote)> workload;
};

Task<Result<Target>> resolve(egress::Resolver& resolver, std::string url) {
  Target target;
  POLDER_CO_TRY(target.url, egress::parse_url(url));
  POLDER_CO_TRY(const egress::Addresses found, co_await resolver.addresses(target.url.host));
  target.address = found.addresses.front();
  co_return target;
}

Reports measure(runtime::Runtime& runtime, http::Transport& transport, egress::Resolver& resolver,
                Arguments arguments) {
  Stage stage{.runtime = runtime,
              .transport = transport,
              .server = arguments.server,
              .prefix = arguments.prefix};
  POLDER_CO_TRY(stage.target, co_await resolve(resolver, arguments.url));
  Target remote;
  if (!arguments.remote_url.empty()) {
    POLDER_CO_TRY(remote, co_await resolve(resolver, arguments.remote_url));
  }
  co_return co_await arguments.workload(stage, remote);
}

Task<void> measure_and_stop(runtime::Threads& threads, http::Transport& transport,
                            egress::Resolver& resolver, Arguments arguments) {
  const auto reports = co_await measure(threads, transport, resolver, std::move(arguments));
  if (!reports.ok()) give_up(reports.error());
  for (const Report& report : *reports)
    std::puts(report.json().c_str());
  threads.stop();
}

void run_all(Arguments arguments) {
  const base::SystemClock clock;
  base::SystemRandom random;
  const auto log = base::make_system_log(LogLevel::kWarning);
  const auto threads =
      runtime::Threads::create({.shards = 1, .pool_threads = 1}, clock, random, *log);
  if (arguments.prefix.empty()) arguments.prefix = "load" + std::to_string(clock.wall_ms()) + "-";
  const auto transport = http::make_transport(*threads, arguments.ca_files);
  const auto resolver = egress::make_system_resolver();
  if (!transport.ok()) give_up(transport.error());
  if (!resolver.ok()) give_up(resolver.error());
  runtime::spawn(*threads, threads->shard(0), "load",
                 measure_and_stop(*threads, **transport, **resolver, std::move(arguments)));
  threads->run();
  (*resolver)->stop();
}

// --- The command line ---

void number(CLI::App& command, const char* name, size_t& value, const char* what,
            int at_least = 1) {
  command.add_option(name, value, what)
      ->check(CLI::Range(at_least, 1'000'000))
      ->capture_default_str();
}

void add_messages(CLI::App& app, Arguments& arguments, Messages& plan) {
  CLI::App& command = *app.add_subcommand("messages", "Users send, all at once");
  number(command, "--users", plan.users, "Who send, each with one message under way");
  number(command, "--rooms", plan.rooms, "That they are spread over");
  number(command, "--seconds", plan.seconds, "How long to measure");
  number(command, "--warm-up", plan.warm_up, "How many seconds to send before that", 0);
  number(command, "--text-bytes", plan.text_bytes, "Length of each message", 40);
  number(command, "--patience", plan.patience, "Seconds to wait for what was sent to be there", 0);
  number(command, "--rate", plan.rate, "Messages per second of all; 0: as many as possible", 0);
  command.callback([&] {
    arguments.workload = [&plan](Stage& stage, const Target&) {
      return measure_messages(stage, plan);
    };
  });
}

void add_fan_out(CLI::App& app, Arguments& arguments, FanOut& plan) {
  CLI::App& command = *app.add_subcommand("fanout", "One sends, others wait for it in /sync");
  number(command, "--listeners", plan.listeners, "Who wait, in one room");
  number(command, "--seconds", plan.seconds, "How long to measure");
  command.callback([&] {
    arguments.workload = [&plan](Stage& stage, const Target&) {
      return measure_fan_out(stage, plan);
    };
  });
}

void add_initial_sync(CLI::App& app, Arguments& arguments, InitialSync& plan) {
  CLI::App& command = *app.add_subcommand("initial_sync", "Users sync from nothing, all at once");
  number(command, "--users", plan.users, "Who sync, of the members");
  number(command, "--rooms", plan.rooms, "That all members are in");
  number(command, "--members", plan.members, "Of each room");
  number(command, "--times", plan.times, "How often each of them syncs");
  number(command, "--messages", plan.messages, "In each room");
  command
      .add_option("--profiles", plan.profiles,
                  "Events of each timeline, and T (members lazily) or F (all members)")
      ->delimiter(',')
      ->capture_default_str();
  command.callback([&] {
    arguments.workload = [&plan](Stage& stage, const Target&) {
      return measure_initial_sync(stage, plan);
    };
  });
}

void add_joins(CLI::App& app, Arguments& arguments, Joins& local, RemoteJoins& remote) {
  CLI::App& here = *app.add_subcommand("joins", "Users join public rooms");
  number(here, "--users", local.users, "Who join, all at once");
  number(here, "--rooms", local.rooms, "That each of them joins");
  here.callback([&] {
    arguments.workload = [&local](Stage& stage, const Target&) {
      return measure_joins(stage, local);
    };
  });
  CLI::App& there = *app.add_subcommand("remote_joins", "Users join rooms of another server");
  there.add_option("--remote-url", arguments.remote_url, "The other homeserver's base URL")
      ->required();
  number(there, "--users", remote.users, "Who join, each another room");
  number(there, "--members", remote.members, "Of each room before");
  number(there, "--at-once", remote.at_once, "Joins under way");
  there.callback([&] {
    arguments.workload = [&remote](Stage& stage, const Target& target) {
      return measure_remote_joins(stage, target, remote);
    };
  });
}

void add_idle(CLI::App& app, Arguments& arguments, Idle& plan) {
  CLI::App& command = *app.add_subcommand("idle", "Users wait in /sync while nothing happens");
  number(command, "--users", plan.users, "Who wait");
  number(command, "--rooms", plan.rooms, "That they are spread over");
  number(command, "--seconds", plan.seconds, "How long to measure");
  number(command, "--warm-up", plan.warm_up, "How many seconds to wait before that", 0);
  command.callback([&] {
    arguments.workload = [&plan](Stage& stage, const Target&) { return measure_idle(stage, plan); };
  });
}

}  // namespace
}  // namespace polder::load

int main(int argc, char** argv) {
  using namespace polder::load;
  Arguments arguments;
  Messages messages;
  FanOut fan_out;
  InitialSync initial_sync;
  Joins joins;
  RemoteJoins remote_joins;
  Idle idle;
  CLI::App app("Measures a Matrix homeserver that lets anybody register, and limits no rates.");
  app.require_subcommand(1);
  app.fallthrough();
  app.add_option("--url", arguments.url, "The homeserver's base URL")->required();
  app.add_option("--prefix", arguments.prefix, "Of the users' names (default: the time)");
  app.add_option("--ca-file", arguments.ca_files, "An authority to trust, as a PEM file");
  app.add_option("--server-pid", arguments.server.processes,
                 "A process of the server, measured with its children; may be repeated");
  app.add_option("--data-dir", arguments.server.directories,
                 "A directory of the server's data; may be repeated");
  add_messages(app, arguments, messages);
  add_fan_out(app, arguments, fan_out);
  add_initial_sync(app, arguments, initial_sync);
  add_joins(app, arguments, joins, remote_joins);
  add_idle(app, arguments, idle);
  CLI11_PARSE(app, argc, argv);
  run_all(std::move(arguments));
  return 0;
}
