// What a homeserver is made of. Included by its sources only: everything depends on it.
#pragma once

#include "federation/client/client.h"
#include "federation/devices/devices.h"
#include "federation/discovery/discovery.h"
#include "federation/entry/entry.h"
#include "federation/keyring/keyring.h"
#include "federation/sender/sender.h"
#include "federation/server/api.h"
#include "federation/transport/transport.h"
#include "homeserver/api/admin/api.h"
#include "homeserver/api/client/api.h"
#include "homeserver/api/client/guest_departure.h"
#include "homeserver/api/client/limited_identities.h"
#include "homeserver/api/client/registration.h"
#include "homeserver/base/crypto/keys.h"
#include "homeserver/base/egress/egress.h"
#include "homeserver/base/http/rate_limits.h"
#include "homeserver/base/http/router.h"
#include "homeserver/base/http/server.h"
#include "homeserver/base/metrics/metrics.h"
#include "homeserver/rooms/engine/engine.h"
#include "homeserver/rooms/upkeep/reclaim.h"
#include "homeserver/server/admission.h"
#include "homeserver/server/audit.h"
#include "homeserver/server/homeserver.h"
#include "homeserver/server/metrics.h"
#include "homeserver/sync/classic/sync.h"
#include "homeserver/sync/classic/typing_departure.h"
#include "homeserver/sync/push/counts.h"
#include "homeserver/sync/push/highlights.h"
#include "homeserver/sync/push/rules.h"
#include "homeserver/users/accounts/accounts.h"
#include "homeserver/users/accounts/local_passwords.h"
#include "homeserver/users/authentication/interactive_authentication.h"
#include "homeserver/users/authentication/stages.h"
#include "homeserver/users/data/account_data.h"
#include "homeserver/users/data/device_messages.h"
#include "homeserver/users/data/receipts.h"
#include "homeserver/users/keys/device_keys.h"
#include "homeserver/users/sessions/sessions.h"
#include "media/api/api.h"
#include "media/files/content_store.h"
#include "media/files/library.h"
#include "media/remote/remote.h"
#include "storage/feed/followers.h"
#include "storage/files/files.h"
#include "storage/kv/committer.h"
#include "storage/kv/kv.h"
#include "storage/stores/base/names.h"

namespace polder::server {

// All of them, and how they hang together. A member dies before those above it.
class Homeserver::Impl {
 public:
  Impl(Config config, Outside outside, crypto::SigningKey key);
  Status start();
  Status reconfigure(const Config& config);

  policy::Ask ask_policy();
  void open_network();
  void open_media();
  void open_federation();
  Status open();
  void add_routes();
  void add_probes();

  const Config config_;
  const Outside outside_;
  const crypto::SigningKey signing_key_;
  http::RateLimits rate_limits_;
  runtime::KeyedQueues alias_turns_;
  runtime::KeyedQueues profile_turns_;
  client_api::CurrentSettings client_settings_;
  std::unique_ptr<kv::Committer> committer_;
  std::unique_ptr<feed::Followers> followers_;
  std::unique_ptr<stores::Names> names_;
  std::unique_ptr<egress::CheckedEgress> egress_;
  std::unique_ptr<discovery::Discovery> discovery_;
  std::unique_ptr<transport::Servers> servers_;
  std::unique_ptr<keyring::Keyring> keyring_;
  std::unique_ptr<client::FederationClient> federation_client_;
  std::unique_ptr<rooms::RoomEngine> engine_;
  std::unique_ptr<rooms::Reclaimer> reclaimer_;
  std::unique_ptr<AuditRetention> audit_retention_;
  std::unique_ptr<entry::RoomEntry> entry_;
  std::unique_ptr<users::Accounts> accounts_;
  std::unique_ptr<users::Sessions> sessions_;
  std::unique_ptr<users::LocalPasswords> local_passwords_;
  std::unique_ptr<client_api::LimitedIdentities> identities_;
  std::unique_ptr<users::PasswordStage> password_stage_;
  users::RegistrationTokenStage registration_token_stage_;
  users::DummyStage dummy_stage_;
  std::unique_ptr<users::InteractiveAuthentication> authentication_;
  std::unique_ptr<users::AccountData> account_data_;
  std::unique_ptr<users::DeviceKeys> device_keys_;
  std::unique_ptr<users::DeviceMessages> device_messages_;
  std::unique_ptr<users::Receipts> receipts_;
  std::unique_ptr<users::Typing> typing_;
  std::unique_ptr<push::Highlights> highlights_;
  std::unique_ptr<push::Rules> push_rules_;
  std::unique_ptr<push::Counts> counts_;
  std::unique_ptr<sync::Sync> sync_;
  std::unique_ptr<sender::Sender> sender_;
  std::unique_ptr<devices::Devices> devices_;
  std::unique_ptr<federation_server::RemoteDeviceLists> remote_lists_;
  std::unique_ptr<federation_server::Api> federation_api_;
  std::unique_ptr<media::ContentStore> media_contents_;
  std::unique_ptr<media::Library> media_library_;
  std::unique_ptr<remote_media::RemoteMedia> remote_media_;
  std::unique_ptr<media_api::Api> media_api_;
  std::unique_ptr<client_api::Api> api_;
  std::unique_ptr<client_api::Registering> registering_;
  std::unique_ptr<sync::TypingDeparture> typing_departure_;
  std::unique_ptr<client_api::GuestDeparture> guest_departure_;
  std::unique_ptr<admin_api::Api> admin_api_;
  RequestMetrics request_metrics_;
  std::unique_ptr<Admission> admission_;
  metrics::Registry metrics_;
  http::Router router_;
};

}  // namespace polder::server
