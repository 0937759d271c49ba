#include "tests/simulation/world.h"

#include <cstdlib>
#include <filesystem>

#include "federation/wire/authorization.h"
#include "federation/wire/transaction.h"
#include "storage/stores/base/columns.h"

namespace polder::simulation {
namespace {

std::string make_directory() {
  std::string pattern = std::filesystem::temp_directory_path() / "polder-simulation-XXXXXX";
  return mkdtemp(pattern.data());
}

// Short, so that a history of minutes sees servers give each other up and come back.
constexpr int64_t kRetryFirstMs = 2'000;
constexpr int64_t kRetryLongestMs = 30'000;

server::Config config_of(const std::string& name, const std::string& data_dir) {
  server::Config config;
  config.server_name = ServerName::trusted(name);
  config.data_dir = data_dir;
  config.registration.enabled = true;
  config.limits.rate_limits = false;
  config.federation.retry_initial_ms = kRetryFirstMs;
  config.federation.retry_max_ms = kRetryLongestMs;
  return config;
}

}  // namespace

// What only large rooms see happens in every third world to all rooms.
World::World(uint64_t seed, size_t servers)
    : directory_(make_directory()),
      steps_(seed % 3 == 0 ? rooms::StepSizes{.large_state = 3, .changes = 2} : rooms::StepSizes()),
      simulation_(runtime::Simulation::create(seed)),
      network_(std::make_unique<Network>(*simulation_)) {
  for (size_t i = 0; i < servers; ++i) {
    servers_.push_back(std::make_unique<Server>());
    servers_.back()->name = std::string(1, static_cast<char>('a' + i)) + ".example";
    std::filesystem::create_directory(directory_ + "/" + servers_.back()->name);
    start(i);
  }
}

World::~World() {
  for (const auto& server : servers_) {
    server->calls.clear();
    if (server->homeserver) stop(*server);
  }
  std::filesystem::remove_all(directory_);
}

void World::start(size_t index) {
  Server& server = *servers_[index];
  server.runtime = simulation_->add_runtime(server.name);
  server.database = kv::open_memory(stores::kColumns, server.disk);
  auto created =
      server::Homeserver::create(config_of(server.name, directory_ + "/" + server.name),
                                 {*server.runtime, *files_, *server.database,
                                  network_->transport(server.name), network_->resolver(), steps_});
  if (!created.ok() || !(*created)->start().ok()) std::abort();
  server.homeserver = *std::move(created);
  network_->attach(server.name, *server.runtime, server.homeserver->router());
}

void World::crash(size_t index) {
  Server& server = *servers_[index];
  stop(server);
  server.disk.repair();
  server.disk.power_loss(random().below(server.disk.unsynced() + 1));
  // What the clients do next, they do without an answer.
  const auto calls = std::exchange(server.calls, {});
  for (const auto& [number, on_answer] : calls)
    on_answer(Answer());
}

// Tasks die first, then the services that they refer to, then the runtime.
void World::stop(Server& server) {
  network_->detach(server.name);
  simulation_->crash(*server.runtime);
  server.homeserver.reset();
  server.database.reset();
  server.runtime.reset();
}

void World::call(size_t index, ClientCall call, OnAnswer on_answer) {
  Server& server = *servers_[index];
  simulation_->trace("call " + server.name + " " + call.method + " " + call.target + " " +
                     call.body);
  if (!is_up(index)) {
    simulation_->after(Millis(10), [on_answer = std::move(on_answer)] { on_answer(Answer()); });
    return;
  }
  const uint64_t number = ++calls_;
  server.calls[number] = std::move(on_answer);
  runtime::spawn(*server.runtime, server.runtime->shard(0), "call",
                 perform(server, std::move(call), number));
}

void World::send_pdus(size_t from, size_t to, std::vector<std::string> pdus) {
  Server& server = *servers_[from];
  if (from == to || !is_up(from)) return;
  const rooms::RoomEngine& rooms = server.homeserver->rooms();
  const ServerName& own_name = rooms.source().own_name;
  const std::string& other = servers_[to]->name;
  http::ClientRequest request;
  request.address = "9.9.9.9";
  request.port = 8448;
  request.tls_name = request.host = other;
  request.method = http::Method::kPut;
  request.target = "/_matrix/federation/v1/send/hostile" + std::to_string(++transactions_);
  request.body = wire::write_transaction({own_name, simulation_->clock().wall_ms(), pdus, {}});
  request.headers.add("Authorization", wire::authorize({"PUT", request.target, own_name,
                                                        ServerName::trusted(other), request.body},
                                                       rooms.writer.signing_key()));
  runtime::spawn(*server.runtime, server.runtime->shard(0), "hostile",
                 send(std::move(request), server.name));
}

Task<void> World::send(http::ClientRequest request, std::string from) {
  [[maybe_unused]] const auto answer = co_await network_->transport(from).send(std::move(request));
}

Task<void> World::perform(Server& server, ClientCall call, uint64_t number) {
  const std::string target = call.target;
  const Answer answer = co_await server::ask(server.homeserver->router(), std::move(call));
  simulation_->trace("answer " + server.name + " " + target + " " + std::to_string(answer.status) +
                     " " + json::write(answer.body));
  // The client learns of it outside of the server.
  auto node = server.calls.extract(number);
  simulation_->after(Millis(1),
                     [answer, on_answer = std::move(node.mapped())] { on_answer(answer); });
}

}  // namespace polder::simulation
