#include "bench/support/local_server.h"

#include <filesystem>

#include "homeserver/base/http/router.h"
#include "homeserver/base/json/parse.h"
#include "homeserver/users/accounts/accounts.h"
#include "homeserver/users/sessions/sessions.h"
#include "storage/kv/rocks.h"
#include "storage/stores/base/columns.h"

namespace polder::bench {

TemporaryDirectory::TemporaryDirectory() {
  path_ = (std::filesystem::temp_directory_path() / "polder-bench-XXXXXX").string();
  if (mkdtemp(path_.data()) == nullptr) give_up(fail(ErrorCode::kIo, "cannot make " + path_));
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void SeededRandom::fill(std::span<uint8_t> out) {
  const base::Lock lock(mutex_);
  for (uint8_t& byte : out) {  // SplitMix64
    uint64_t mixed = state_ += 0x9e3779b97f4a7c15;
    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111eb;
    byte = static_cast<uint8_t>(mixed >> 56);
  }
}

LocalServer::LocalServer(std::function<void(kv::Position)> on_visible)
    : files_(files::real_files()) {
  const kv::RocksOptions options{
      .files = *files_, .log = log_, .directory = directory_.path() + "/database"};
  database_ = must(kv::open_rocks(options, stores::kColumns));
  threads_ = runtime::Threads::create({.shards = 2, .pool_threads = 4}, clock_, random_, log_);
  server::Config config;
  config.server_name = ServerName::trusted("bench");
  config.data_dir = directory_.path();
  config.registration.enabled = true;
  config.limits.rate_limits = false;
  config.federation.enabled = false;
  homeserver_ = must(
      server::Homeserver::create(config, {*threads_, *files_, *database_, transport_, resolver_}));
  if (on_visible) homeserver_->committer().on_visible(std::move(on_visible));
  must(homeserver_->start());
  running_ = std::thread([this] { threads_->run(); });
}

LocalServer::~LocalServer() {
  homeserver_->committer().stop();
  threads_->stop();
  running_.join();
  homeserver_.reset();
}

Task<json::Object> LocalServer::request(std::string method, std::string target, std::string token,
                                        std::string body) {
  http::Exchange exchange;
  exchange.served.set();
  exchange.request.method = http::method_from(method);
  must(http::parse_target(target, exchange.request));
  exchange.request.body = std::move(body);
  if (!token.empty()) exchange.request.headers.add("Authorization", "Bearer " + token);
  const http::Response response = co_await homeserver_->router().handle(exchange);
  if (exchange.answered) exchange.answered();
  std::string text;
  for (const http::Slice& slice : response.body)
    text.append(slice.bytes);
  if (response.status != 200) give_up(fail(ErrorCode::kInternal, target + ": " + text));
  co_return must(json::parse_object(text));
}

}  // namespace polder::bench
