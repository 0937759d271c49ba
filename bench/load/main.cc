// Measures any homeserver from outside: what one line of JSON says on standard output. Exits with 1
// if a message that was acknowledged cannot be read afterwards, or nothing was.
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "bench/load/load.h"
#include "homeserver/base/log.h"
#include "homeserver/egress/resolver.h"
#include "homeserver/json/write.h"
#include "homeserver/runtime/threads.h"

namespace polder::load {
namespace {

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

void print(const Plan& plan, const Outcome& outcome) {
  const auto ms = [&](double part) {
    return std::chrono::duration<double, std::milli>(outcome.percentile(part)).count();
  };
  const double seconds = std::chrono::duration<double>(outcome.measured).count();
  std::printf(
      "{\"senders\":%zu,\"rooms\":%zu,\"seconds\":%.1f,\"acknowledged\":%llu,\"per_second\":%.1f,"
      "\"failed\":%llu,\"p50_ms\":%.2f,\"p95_ms\":%.2f,\"p99_ms\":%.2f,\"max_ms\":%.2f,"
      "\"checked\":%llu,\"missing\":%llu,\"own_cpu_seconds\":%.1f}\n",
      plan.senders, plan.rooms, seconds, static_cast<unsigned long long>(outcome.acknowledged),
      static_cast<double>(outcome.acknowledged) / seconds,
      static_cast<unsigned long long>(outcome.failed), ms(0.5), ms(0.95), ms(0.99), ms(1),
      static_cast<unsigned long long>(outcome.checked),
      static_cast<unsigned long long>(outcome.missing), cpu_seconds());
}

Task<Result<Target>> resolve(egress::Resolver& resolver, std::string url) {
  Target target;
  POLDER_CO_TRY(target.url, egress::parse_url(url));
  POLDER_CO_TRY(const egress::Addresses found, co_await resolver.addresses(target.url.host));
  target.address = found.addresses.front();
  co_return target;
}

struct Arguments {
  std::string url;
  std::vector<std::string> ca_files;
  Plan plan;
};

Task<void> run_and_stop(runtime::Threads& threads, http::Transport& transport,
                        egress::Resolver& resolver, Arguments arguments, int& exit_code) {
  const auto target = co_await resolve(resolver, arguments.url);
  auto outcome = target.ok() ? co_await run(threads, transport, *target, arguments.plan)
                             : Result<Outcome>(target.error());
  if (outcome.ok()) {
    print(arguments.plan, *outcome);
    if (outcome->failed > 0)
      std::fprintf(stderr, "polder_load: %s\n", outcome->last_failure.c_str());
    exit_code = outcome->missing == 0 && outcome->acknowledged > 0 ? 0 : 1;
  } else {
    std::fprintf(stderr, "polder_load: %s\n", outcome.error().message.c_str());
  }
  threads.stop();
}

int run_all(Arguments arguments) {
  const base::SystemClock clock;
  base::SystemRandom random;
  const auto log = base::make_system_log(LogLevel::kWarning);
  const auto threads =
      runtime::Threads::create({.shards = 1, .pool_threads = 1}, clock, random, *log);
  if (arguments.plan.prefix.empty()) {
    arguments.plan.prefix = "load" + std::to_string(clock.wall_ms()) + "-";
  }
  const auto transport = http::make_transport(*threads, arguments.ca_files);
  const auto resolver = egress::make_system_resolver();
  if (!transport.ok() || !resolver.ok()) {
    const Error& error = transport.ok() ? resolver.error() : transport.error();
    std::fprintf(stderr, "polder_load: %s\n", error.message.c_str());
    return 1;
  }
  int exit_code = 1;
  runtime::spawn(*threads, threads->shard(0), "load",
                 run_and_stop(*threads, **transport, **resolver, std::move(arguments), exit_code));
  threads->run();
  (*resolver)->stop();
  return exit_code;
}

}  // namespace
}  // namespace polder::load

int main(int argc, char** argv) {
  polder::load::Arguments arguments;
  polder::load::Plan& plan = arguments.plan;
  int64_t seconds = plan.duration.count();
  int64_t warm_up = plan.warm_up.count();
  CLI::App app(
      "Sends messages to a Matrix homeserver that lets anybody register, and limits no rates.");
  app.add_option("--url", arguments.url, "The homeserver's base URL")->required();
  app.add_option("--senders", plan.senders, "Users, each with one message under way")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  app.add_option("--rooms", plan.rooms, "Rooms that the senders are spread over")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  app.add_option("--seconds", seconds, "How long to measure")
      ->check(CLI::Range(1, 86'400))
      ->capture_default_str();
  app.add_option("--warm-up", warm_up, "How many seconds to send before that")
      ->check(CLI::Range(0, 86'400))
      ->capture_default_str();
  app.add_option("--text-bytes", plan.text_bytes, "Length of each message")
      ->check(CLI::Range(1, 50'000))
      ->capture_default_str();
  app.add_option("--prefix", plan.prefix, "Of the users' names (default: the time)");
  app.add_option("--ca-file", arguments.ca_files, "An authority to trust, as a PEM file");
  CLI11_PARSE(app, argc, argv);
  plan.duration = std::chrono::seconds(seconds);
  plan.warm_up = std::chrono::seconds(warm_up);
  plan.rooms = std::min(plan.rooms, plan.senders);
  return polder::load::run_all(std::move(arguments));
}
