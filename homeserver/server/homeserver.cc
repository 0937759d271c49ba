#include "homeserver/server/homeserver.h"

#include "homeserver/server/impl.h"
#include "homeserver/server/signing_key.h"

namespace polder::server {

Homeserver::Homeserver(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Homeserver::~Homeserver() = default;

Result<std::unique_ptr<Homeserver>> Homeserver::create(Config config, Outside outside,
                                                       const Config* newest) {
  POLDER_TRY(auto key, load_signing_key(outside.files, config.data_dir, outside.runtime.random()));
  auto impl = std::make_unique<Impl>(std::move(config), outside, std::move(key));
  POLDER_CHECK(impl->reconfigure(newest != nullptr ? *newest : impl->config_));
  POLDER_CHECK(impl->open());
  impl->add_routes();
  impl->add_probes();
  return std::unique_ptr<Homeserver>(new Homeserver(std::move(impl)));
}

Status Homeserver::start() {
  return impl_->start();
}
Status Homeserver::reconfigure(const Config& config) {
  return impl_->reconfigure(config);
}
const Config& Homeserver::config() const {
  return impl_->config_;
}
const http::Router& Homeserver::router() const {
  return impl_->router_;
}
users::Accounts& Homeserver::accounts() {
  return *impl_->accounts_;
}
users::Sessions& Homeserver::sessions() {
  return *impl_->sessions_;
}
metrics::Registry& Homeserver::metrics() {
  return impl_->metrics_;
}
kv::Committer& Homeserver::committer() {
  return *impl_->committer_;
}
feed::Followers& Homeserver::followers() {
  return *impl_->followers_;
}
rooms::RoomEngine& Homeserver::rooms() {
  return *impl_->engine_;
}

}  // namespace polder::server
