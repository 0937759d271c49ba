#include "homeserver/server/homeserver.h"

#include "homeserver/server/health.h"
#include "homeserver/server/signing_key.h"

namespace polder::server {

Homeserver::Homeserver(Config config, Outside outside, crypto::SigningKey key)
    : config_(std::move(config)), outside_(outside), signing_key_(std::move(key)) {}

Homeserver::~Homeserver() = default;

Result<std::unique_ptr<Homeserver>> Homeserver::create(Config config, Outside outside) {
  POLDER_TRY(auto key, load_signing_key(outside.files, config.data_dir, outside.runtime.random()));
  std::unique_ptr<Homeserver> homeserver(
      new Homeserver(std::move(config), outside, std::move(key)));
  POLDER_CHECK(homeserver->open());
  homeserver->add_routes();
  return homeserver;
}

Status Homeserver::open() {
  committer_ = kv::Committer::create(outside_.runtime, outside_.database);
  POLDER_TRY(names_, stores::Names::open(outside_.database));
  engine_ = std::make_unique<rooms::RoomEngine>(
      rooms::EngineParts{outside_.runtime, outside_.database, *committer_, *names_,
                         config_.server_name, signing_key_, outside_.keys, outside_.remote});
  return engine_->load_heads();
}

void Homeserver::add_routes() {
  add_health_routes(router_, outside_.database);
}

}  // namespace polder::server
