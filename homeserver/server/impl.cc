#include "homeserver/server/impl.h"

#include "appservices/registry/load.h"
#include "federation/discovery/probe.h"
#include "federation/keyring/probe.h"
#include "federation/sender/probe.h"
#include "federation/transport/probe.h"
#include "homeserver/api/client/departure.h"
#include "homeserver/base/egress/probe.h"
#include "homeserver/base/http/probe.h"
#include "homeserver/base/metrics/process.h"
#include "homeserver/base/runtime/probe.h"
#include "homeserver/rooms/engine/probe.h"
#include "homeserver/server/health.h"
#include "homeserver/server/offline.h"
#include "homeserver/server/permitted_servers.h"
#include "homeserver/sync/classic/probe.h"
#include "homeserver/sync/push/probe.h"
#include "homeserver/users/sessions/probe.h"
#include "media/files/probe.h"
#include "storage/kv/probe.h"
#include "storage/stores/base/probe.h"

namespace polder::server {
namespace {

constexpr const char* kVersion = POLDER_VERSION;
constexpr Millis kDay{86'400'000};  // after which the audit log is looked at again

// The endpoints tell of devices to who keeps them.
class TrackedDeviceLists final : public federation_server::RemoteDeviceLists {
 public:
  explicit TrackedDeviceLists(devices::Devices& devices) : devices_(devices) {}
  Task<void> device_list_update(ServerName origin, json::Object content) override {
    return devices_.remote.device_list_update(std::move(origin), std::move(content));
  }
  Task<void> signing_key_update(ServerName origin, json::Object content) override {
    return devices_.remote.signing_key_update(std::move(origin), std::move(content));
  }

 private:
  devices::Devices& devices_;
};

Task<std::optional<http::Response>> at_once(http::Response response) {
  co_return response;
}

// What requests wait in, with bounds well beyond what a burst makes wait: all connections at once
// in the lane of reads, tens of seconds of work in the others, most of what may wait to be written.
std::vector<RequestQueue> request_queues(const runtime::Runtime& runtime,
                                         const kv::Committer& committer) {
  const auto lane = [&runtime](runtime::Lane which) {
    return [&runtime, which] { return runtime.backlog(which); };
  };
  return {{"read", lane(runtime::Lane::kRead), 20'000},
          {"short", lane(runtime::Lane::kShort), 10'000},
          {"long", lane(runtime::Lane::kLong), 2'000},
          {"commit", [&committer] { return committer.queued_bytes(); },
           kv::CommitterOptions().queue_bytes_max / 4 * 3, true}};
}

// Callers prove who they are in the way of their route.
http::Router::Before authentication_of_both(http::Router::Before client,
                                            http::Router::Before server) {
  return [client = std::move(client), server = std::move(server)](http::Exchange& exchange) {
    const bool by_server = exchange.route->authentication == http::Authentication::kServer;
    return by_server ? server(exchange) : client(exchange);
  };
}

AuditKeep audit_keep(const Config& config) {
  return {kDay * config.audit.keep_days, static_cast<uint64_t>(config.audit.keep_mb) << 20};
}

client_api::Settings client_settings(const Config& config) {
  client_api::Settings settings;
  settings.registration_enabled = config.registration.enabled;
  settings.guests_allowed = config.registration.allow_guests;
  settings.registration_tokens = config.registration.tokens;
  settings.registration_secret = config.registration.shared_secret;
  settings.default_room_version = config.rooms.default_version;
  settings.public_base_url = config.client.public_base_url;
  settings.federation_address = config.federation.public_address;
  settings.turn_uris = config.turn.uris;
  settings.turn_secret = config.turn.shared_secret;
  settings.turn_ttl_s = config.turn.ttl_s;
  return settings;
}

users::AccountDataLimits account_data_limits(const Config& config) {
  users::AccountDataLimits limits;
  limits.room_types = static_cast<size_t>(config.limits.account_data_types_of_room);
  limits.room_bytes = static_cast<size_t>(config.limits.account_data_kb_of_room) << 10;
  limits.types = static_cast<size_t>(config.limits.account_data_types);
  limits.bytes = static_cast<size_t>(config.limits.account_data_kb) << 10;
  return limits;
}

}  // namespace

Homeserver::Impl::Impl(Config config, Outside outside, crypto::SigningKey key)
    : config_(std::move(config)),
      outside_(outside),
      signing_key_(std::move(key)),
      rate_limits_(outside.runtime.clock(), outside.runtime.random(), outside.runtime.log(),
                   config_.limits.rate_limits, config_.limits.rates),
      alias_turns_(outside.runtime),
      profile_turns_(outside.runtime),
      client_settings_({}),
      registration_token_stage_([this](std::string_view token) {
        return client_api::is_registration_token(*client_settings_.get(), token);
      }),
      request_metrics_(outside.runtime.clock()) {}

Status Homeserver::Impl::start() {
  POLDER_CHECK(devices_->start());
  POLDER_CHECK(engine_->upkeep.start());
  POLDER_CHECK(entry_->start());
  runtime::spawn(outside_.runtime, outside_.runtime.shard(0), media::kSweepJob,
                 media_contents_->sweep());
  runtime::spawn(outside_.runtime, outside_.runtime.shard(0), "purge",
                 engine_->upkeep.finish_purges());
  runtime::spawn(outside_.runtime, outside_.runtime.shard(0), rooms::kReclaimJob,
                 reclaimer_->run(Millis(config_.storage.reclaim_hours * 3'600'000)));
  runtime::spawn(outside_.runtime, outside_.runtime.shard(0), kAuditJob,
                 audit_retention_->run(kDay));
  runtime::spawn(outside_.runtime, outside_.runtime.shard(0), "departure",
                 client_api::leave_rooms_of_deactivated(*api_));
  runtime::spawn(outside_.runtime, outside_.runtime.shard(0), "guest_departure",
                 guest_departure_->run());
  if (config_.federation.enabled) POLDER_CHECK(federation_api_->start());
  return sender_->start();
}

// At points outside of rooms. The engine is there by the first request.
policy::Ask Homeserver::Impl::ask_policy() {
  return [this](const policy::Act& act, const policy::Actor& actor, const policy::Facts& facts) {
    return engine_->writer.permit_known(act, actor, facts);
  };
}

// The way to other servers.
void Homeserver::Impl::open_network() {
  egress_ = std::make_unique<egress::CheckedEgress>(outside_.runtime, outside_.resolver,
                                                    outside_.transport,
                                                    config_.network.deny_private_addresses);
  discovery_ = std::make_unique<discovery::Discovery>(outside_.runtime, *egress_);
  if (config_.federation.enabled) {
    const transport::BackOffLimits limits{Millis(config_.federation.retry_initial_ms),
                                          Millis(config_.federation.retry_max_ms)};
    auto servers = std::make_unique<transport::NetworkServers>(
        outside_.runtime, *egress_, *discovery_, config_.server_name, signing_key_, limits);
    metrics_.add([told = servers.get()](metrics::Sink& sink) { transport::probe(*told, sink); });
    servers_ = std::move(servers);
  } else {
    servers_ = std::make_unique<NoServers>();
  }
  servers_ = std::make_unique<PermittedServers>(std::move(servers_), config_.server_name,
                                                !config_.federation.enabled, ask_policy());
  keyring_ = std::make_unique<keyring::Keyring>(
      keyring::KeyringParts{outside_.runtime, outside_.database, *committer_, *servers_,
                            config_.server_name, signing_key_});
  federation_client_ = std::make_unique<client::FederationClient>(*servers_);
}

Status Homeserver::Impl::open() {
  committer_ = kv::Committer::create(outside_.runtime, outside_.database);
  followers_ = std::make_unique<feed::Followers>(outside_.runtime, outside_.database, *committer_);
  admission_ = std::make_unique<Admission>(outside_.runtime.clock(), outside_.runtime.log(),
                                           request_queues(outside_.runtime, *committer_));
  POLDER_TRY(names_, stores::Names::open(outside_.database));
  open_network();
  engine_ = std::make_unique<rooms::RoomEngine>(
      rooms::EngineParts{outside_.runtime, outside_.database, *committer_, *names_,
                         config_.server_name, signing_key_, *keyring_, *federation_client_,
                         outside_.steps, static_cast<size_t>(config_.rooms.cache_mb) << 20});
  POLDER_CHECK(engine_->rooms.load_heads());
  reclaimer_ = std::make_unique<rooms::Reclaimer>(outside_.runtime, outside_.database, *committer_);
  audit_retention_ = std::make_unique<AuditRetention>(outside_.runtime, outside_.database,
                                                      *committer_, audit_keep(config_));
  entry_ = std::make_unique<entry::RoomEntry>(engine_->writer, *federation_client_);
  typing_ = std::make_unique<users::Typing>(outside_.runtime.clock());
  const users::Parts parts{outside_.runtime, outside_.database, *committer_, *names_,
                           config_.server_name};
  accounts_ = std::make_unique<users::Accounts>(parts);
  sessions_ = std::make_unique<users::Sessions>(*accounts_);
  local_passwords_ = std::make_unique<users::LocalPasswords>(*accounts_);
  identities_ = std::make_unique<client_api::LimitedIdentities>(
      rate_limits_, outside_.identities != nullptr ? *outside_.identities : *local_passwords_);
  password_stage_ = std::make_unique<users::PasswordStage>(*identities_, config_.server_name);
  authentication_ = std::make_unique<users::InteractiveAuthentication>(
      outside_.runtime,
      std::vector<users::Stage*>{password_stage_.get(), &registration_token_stage_, &dummy_stage_});
  account_data_ =
      std::make_unique<users::AccountData>(parts, accounts_->turns(), account_data_limits(config_));
  device_keys_ = std::make_unique<users::DeviceKeys>(*accounts_);
  device_messages_ = std::make_unique<users::DeviceMessages>(*accounts_);
  receipts_ = std::make_unique<users::Receipts>(parts);
  highlights_ = std::make_unique<push::Highlights>(*names_, config_.server_name);
  engine_->writer.add_contributor(*highlights_);
  push_rules_ = std::make_unique<push::Rules>(parts, accounts_->turns());
  counts_ = std::make_unique<push::Counts>(*push_rules_);
  sync_ = std::make_unique<sync::Sync>(
      sync::Services{engine_->source(), *committer_, *typing_, *receipts_, *push_rules_, *counts_});
  sender_ = std::make_unique<sender::Sender>(
      sender::SenderParts{outside_.runtime, outside_.database, *committer_, *followers_, *names_,
                          engine_->source().caches.nodes, *servers_, config_.server_name});
  devices_ = std::make_unique<devices::Devices>(devices::Parts{
      outside_.runtime, outside_.database, *committer_, *followers_, *names_, config_.server_name,
      *sender_, *federation_client_, *device_keys_, *device_messages_});
  engine_->writer.add_contributor(devices_->entries);
  open_federation();
  open_media();
  return {};
}

// What other servers may ask.
void Homeserver::Impl::open_federation() {
  remote_lists_ = std::make_unique<TrackedDeviceLists>(*devices_);
  federation_api_ = std::make_unique<federation_server::Api>(federation_server::Parts{
      outside_.runtime, outside_.database, *committer_, engine_->writer, *accounts_, *device_keys_,
      *device_messages_, *receipts_, *typing_, *keyring_, *servers_, *sender_, *remote_lists_,
      rate_limits_, static_cast<size_t>(config_.limits.servers_at_once), kVersion});
}

void Homeserver::Impl::open_media() {
  const auto bytes = [](int64_t mb) { return static_cast<uint64_t>(mb) << 20; };
  const media::Limits limits{bytes(config_.media.max_upload_mb), bytes(config_.media.user_quota_mb),
                             bytes(config_.media.max_fetch_mb),
                             bytes(config_.media.remote_cache_mb)};
  media_contents_ = std::make_unique<media::ContentStore>(
      outside_.runtime, outside_.files, outside_.database, config_.data_dir + "/media");
  media_library_ = std::make_unique<media::Library>(
      media::Parts{outside_.runtime, outside_.database, *committer_, *media_contents_,
                   config_.server_name, limits});
  remote_media_ = std::make_unique<remote_media::RemoteMedia>(
      remote_media::Parts{outside_.runtime, *federation_client_, *egress_, *media_library_});
  media_api_ = std::make_unique<media_api::Api>(media_api::Api{outside_.runtime, *media_library_,
                                                               *remote_media_, ask_policy(),
                                                               config_.media.legacy_downloads});
}

Status Homeserver::Impl::reconfigure(const Config& config) {
  POLDER_TRY(auto registry, appservices::load_registry(outside_.files, config.appservices.directory,
                                                       config_.server_name));
  client_api::Settings settings = client_settings(config);
  settings.appservices = std::make_shared<const appservices::Registry>(std::move(registry));
  client_settings_.set(std::move(settings));
  return {};
}

void Homeserver::Impl::add_routes() {
  api_ = std::make_unique<client_api::Api>(
      client_api::Api{outside_.runtime, outside_.database,   *committer_,   engine_->source(),
                      engine_->writer,  *accounts_,          *sessions_,    *identities_,
                      *authentication_, *account_data_,      *device_keys_, *receipts_,
                      *typing_,         *push_rules_,        *sync_,        *devices_,
                      *entry_,          *federation_client_, rate_limits_,  alias_turns_,
                      profile_turns_,   client_settings_});
  add_health_routes(router_, outside_.database);
  client_api::add_server_routes(router_, *api_);
  client_api::add_session_routes(router_, *api_);
  registering_ = std::make_unique<client_api::Registering>(*api_);
  client_api::add_registration_routes(router_, *registering_);
  client_api::add_account_routes(router_, *api_);
  client_api::add_room_routes(router_, *api_);
  client_api::add_alias_routes(router_, *api_);
  client_api::add_membership_routes(router_, *api_);
  client_api::add_history_routes(router_, *api_);
  client_api::add_thread_routes(router_, *api_);
  client_api::add_timestamp_routes(router_, *api_);
  client_api::add_state_routes(router_, *api_);
  client_api::add_key_routes(router_, *api_);
  client_api::add_receipt_routes(router_, *api_);
  client_api::add_push_routes(router_, *api_);
  client_api::add_sync_routes(router_, *api_);
  guest_departure_ = std::make_unique<client_api::GuestDeparture>(*api_);
  engine_->rooms.add_observer(*guest_departure_);
  typing_departure_ = std::make_unique<sync::TypingDeparture>(*typing_);
  engine_->rooms.add_observer(*typing_departure_);
  admin_api_ = std::make_unique<admin_api::Api>(admin_api::Api{
      outside_.runtime, engine_->source(), engine_->writer, engine_->upkeep, *entry_, *sender_});
  admin_api::add_room_routes(router_, *admin_api_);
  admin_api::add_job_routes(router_, *admin_api_);
  media_api::add_upload_routes(router_, *media_api_);
  media_api::add_download_routes(router_, *media_api_);
  if (config_.federation.enabled) {
    federation_server::add_routes(router_, *federation_api_);
    media_api::add_federation_routes(router_, *media_api_);
  }
  add_metrics_route(router_, outside_.runtime, metrics_);
  request_metrics_.expect(router_.routes());
  auto authentication = authentication_of_both(client_api::authentication(*api_),
                                               federation_server::authentication(*federation_api_));
  router_.set_before([this, authenticated = std::move(authentication)](http::Exchange& exchange) {
    request_metrics_.begin(exchange);
    if (auto refused = admission_->refuse(exchange)) return at_once(*std::move(refused));
    return authenticated(exchange);
  });
  router_.set_after([this](const http::Exchange& exchange, const http::Response& response) {
    request_metrics_.end(exchange, response);
  });
}

// One of each module that has something to tell.
void Homeserver::Impl::add_probes() {
  metrics_.add(metrics::probe_process);
  metrics_.add([this](metrics::Sink& sink) { request_metrics_.probe(sink); });
  metrics_.add([this](metrics::Sink& sink) { http::probe(rate_limits_, sink); });
  metrics_.add([this](metrics::Sink& sink) { admission_->probe(sink); });
  metrics_.add([this](metrics::Sink& sink) { runtime::probe(outside_.runtime, sink); });
  metrics_.add([this](metrics::Sink& sink) { followers_->probe(sink); });
  metrics_.add([this](metrics::Sink& sink) { kv::probe(outside_.database, *committer_, sink); });
  metrics_.add([this](metrics::Sink& sink) { stores::probe(*names_, sink); });
  metrics_.add([this](metrics::Sink& sink) { egress::probe(*egress_, sink); });
  metrics_.add([this](metrics::Sink& sink) { discovery::probe(*discovery_, sink); });
  metrics_.add([this](metrics::Sink& sink) { keyring::probe(*keyring_, sink); });
  metrics_.add([this](metrics::Sink& sink) { rooms::probe(*engine_, sink); });
  metrics_.add([this](metrics::Sink& sink) { users::probe(*sessions_, sink); });
  metrics_.add([this](metrics::Sink& sink) { push::probe(*push_rules_, *counts_, sink); });
  metrics_.add([this](metrics::Sink& sink) { sync::probe(*sync_, sink); });
  metrics_.add([this](metrics::Sink& sink) { sender::probe(*sender_, sink); });
  metrics_.add([this](metrics::Sink& sink) { media::probe(*media_library_, sink); });
}

}  // namespace polder::server
