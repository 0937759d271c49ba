#include "homeserver/server/config_keys.h"

#include <array>

#include "homeserver/protocol/events/room_version.h"

namespace polder::server {
namespace {

constexpr std::array<std::string_view, 6> kResourceNames = {"client", "federation", "media",
                                                            "admin",  "metrics",    "health"};

Error wrong(std::string message) {
  return fail(ErrorCode::kInvalid, std::move(message));
}

// A setter that stores the value in the member that `place` finds.
template <class T, class Target, class Place>
auto store(Place place) {
  return [place](Target& target, const ConfigValue& value) -> Status {
    place(target) = std::get<T>(value);
    return {};
  };
}

template <class Place>
auto flag(Place place) {
  return store<bool, Config>(place);
}
template <class Place>
auto text(Place place) {
  return store<std::string, Config>(place);
}

template <class Place>
auto number(Place place, int64_t min, int64_t max) {
  return [=](Config& config, const ConfigValue& value) -> Status {
    const int64_t given = std::get<int64_t>(value);
    if (given < min || given > max)
      return wrong("must be from " + std::to_string(min) + " to " + std::to_string(max));
    place(config) = given;
    return {};
  };
}

Status set_server_name(Config& config, const ConfigValue& value) {
  POLDER_TRY(config.server_name, ServerName::parse(std::get<std::string>(value)));
  return {};
}

// As a server name is written: https://spec.matrix.org/v1.19/server-server-api/#server-discovery
Status set_public_address(Config& config, const ConfigValue& value) {
  const auto& given = std::get<std::string>(value);
  if (!given.empty()) POLDER_CHECK(ServerName::parse(given));
  config.federation.public_address = given;
  return {};
}

Status set_log_level(Config& config, const ConfigValue& value) {
  constexpr std::array<std::string_view, 4> kLevels = {"debug", "info", "warning", "error"};
  const auto found = std::ranges::find(kLevels, std::get<std::string>(value));
  if (found == kLevels.end()) return wrong("must be debug, info, warning or error");
  config.log_level = static_cast<LogLevel>(found - kLevels.begin());
  return {};
}

Status set_default_version(Config& config, const ConfigValue& value) {
  if (events::find_room_version(std::get<std::string>(value)) == nullptr)
    return wrong("must be a room version from 1 to 12");
  config.rooms.default_version = std::get<std::string>(value);
  return {};
}

// https://spec.matrix.org/v1.19/appendices/#opaque-identifiers, of at most 64 characters.
Status set_registration_tokens(Config& config, const ConfigValue& value) {
  constexpr std::string_view kLetters =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  config.registration.tokens = std::get<std::vector<std::string>>(value);
  for (const std::string& token : config.registration.tokens) {
    if (token.empty() || token.size() > 64 ||
        token.find_first_not_of(kLetters) != std::string::npos)
      return wrong("must be tokens of 1 to 64 of A-Z a-z 0-9 - . _ ~");
  }
  return {};
}

// Whether a name is known is asked where it is used (surroundings.h).
Status set_bind(ListenerConfig& listener, const ConfigValue& value) {
  const std::string& bind = std::get<std::string>(value);
  const auto of_name = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '_' || c == '.';
  };
  const bool numbers = bind.find_first_not_of("0123456789.") == std::string::npos;
  const bool name = !numbers && std::ranges::all_of(bind, of_name);
  // Of an IPv6 address, a zone may follow.
  if (!name && !IpAddress::parse(std::string_view(bind).substr(0, bind.find('%'))))
    return wrong("\"" + bind + "\" is neither an IP address nor a name");
  listener.bind = bind;
  return {};
}

Status set_resources(ListenerConfig& listener, const ConfigValue& value) {
  listener.resources.clear();
  for (const std::string& name : std::get<std::vector<std::string>>(value)) {
    const auto found = std::ranges::find(kResourceNames, name);
    if (found == kResourceNames.end())
      return wrong("holds \"" + name +
                   "\", which is none of client, federation, media, admin, metrics, health");
    listener.resources.push_back(static_cast<Resource>(found - kResourceNames.begin()));
  }
  return {};
}

Status set_port(ListenerConfig& listener, const ConfigValue& value) {
  const int64_t port = std::get<int64_t>(value);
  if (port < 0 || port > 65535) return wrong("must be from 0 to 65535");
  listener.port = static_cast<uint16_t>(port);
  return {};
}

Status set_trusted_proxies(ListenerConfig& listener, const ConfigValue& value) {
  listener.trusted_proxies.clear();
  for (const std::string& text : std::get<std::vector<std::string>>(value)) {
    POLDER_TRY(const IpRange range, IpRange::parse(text));
    listener.trusted_proxies.push_back(range);
  }
  return {};
}

using Strings = std::vector<std::string>;
using Numbers = std::vector<int64_t>;

// The two keys of a class of requests, and what the class is.
struct RateKeys {
  http::RateClass rate;
  std::string_view per_second;
  std::string_view burst;
  std::string_view documentation;
};
constexpr std::array<RateKeys, 10> kRateKeys = {{
    {http::RateClass::kCheap, "limits.cheap.per_second", "limits.cheap.burst",
     "Requests of a user that none of the following is about; without a token, of an address."},
    {http::RateClass::kMessage, "limits.message.per_second", "limits.message.burst",
     "Events that a user sends: messages, state, redactions, invitations, kicks, bans."},
    {http::RateClass::kJoin, "limits.join.per_second", "limits.join.burst",
     "Rooms that a user creates, joins or knocks on."},
    {http::RateClass::kMedia, "limits.media.per_second", "limits.media.burst",
     "Up- and downloads of a user; without a token, of an address."},
    {http::RateClass::kLogin, "limits.login.per_second", "limits.login.burst",
     "Attempts of an address to log in, and of a user to change the password or to deactivate."},
    {http::RateClass::kLoginAccount, "limits.login_account.per_second",
     "limits.login_account.burst", "Log-ins of a user, from wherever."},
    {http::RateClass::kLoginFailed, "limits.login_failed.per_second", "limits.login_failed.burst",
     "Wrong passwords for a user, from wherever."},
    {http::RateClass::kTokenFailed, "limits.token_failed.per_second", "limits.token_failed.burst",
     "Requests of an address with a wrong access token, or without one where one is needed."},
    {http::RateClass::kRegistration, "limits.registration.per_second", "limits.registration.burst",
     "Attempts of an address to register; asking whether a name is free counts."},
    {http::RateClass::kFederation, "limits.federation.per_second", "limits.federation.burst",
     "Requests of another server; of an address those with a wrong signature or none."},
}};

// What peers may hold of the process.
std::vector<ConfigKey> budget_keys() {
  constexpr int64_t kMost = 1'000'000;
  constexpr int64_t kMostMb = 1 << 20;
  return {
      {"limits.connections",
       "How many connections are accepted; fewer if the process may open fewer than twice as many "
       "files.",
       int64_t{20'000}, false, true,
       number([](Config& c) -> auto& { return c.limits.connections; }, 16, kMost)},
      {"limits.connections_of_network",
       "How many of one network (/24; of IPv6, /56) are, besides trusted proxies.", int64_t{5'000},
       false, true,
       number([](Config& c) -> auto& { return c.limits.connections_of_network; }, 1, kMost)},
      {"limits.connections_of_address",
       "How many of one address (of IPv6, /64) are, besides trusted proxies.", int64_t{2'000},
       false, true,
       number([](Config& c) -> auto& { return c.limits.connections_of_address; }, 1, kMost)},
      {"limits.bodies_mb", "Memory for bodies of requests under way.", int64_t{128}, false, true,
       number([](Config& c) -> auto& { return c.limits.bodies_mb; }, 16, kMostMb)},
      {"limits.bodies_of_one_mb",
       "Of it, for those of one user, server or address, unless it is one body alone.", int64_t{32},
       false, true,
       number([](Config& c) -> auto& { return c.limits.bodies_of_one_mb; }, 1, kMostMb)},
      {"limits.answers_mb", "Memory for answers that are not read yet.", int64_t{128}, false, true,
       number([](Config& c) -> auto& { return c.limits.answers_mb; }, 16, kMostMb)},
      {"limits.answers_of_one_mb",
       "Of it, for those of one user, server or address, unless it is one answer alone.",
       int64_t{16}, false, true,
       number([](Config& c) -> auto& { return c.limits.answers_of_one_mb; }, 1, kMostMb)},
  };
}

// What a user may keep on the server.
std::vector<ConfigKey> account_data_keys() {
  constexpr int64_t kMost = 10'000'000;
  return {
      {"limits.account_data_types_of_room",
       "How many types of account data a user may have in a room, and as many of no room.",
       int64_t{1'000}, false, true,
       number([](Config& c) -> auto& { return c.limits.account_data_types_of_room; }, 10, kMost)},
      {"limits.account_data_kb_of_room", "How large these may be together.", int64_t{4'096}, false,
       true,
       number([](Config& c) -> auto& { return c.limits.account_data_kb_of_room; }, 64, kMost)},
      {"limits.account_data_types", "How many a user may have altogether.", int64_t{50'000}, false,
       true, number([](Config& c) -> auto& { return c.limits.account_data_types; }, 10, kMost)},
      {"limits.account_data_kb", "How large these may be together.", int64_t{16'384}, false, true,
       number([](Config& c) -> auto& { return c.limits.account_data_kb; }, 64, kMost)},
  };
}

constexpr double kPerSecondMin = 0.001;
constexpr double kPerSecondMax = 1e6;
constexpr int64_t kBurstMax = 1'000'000;

void add_rate_keys(std::vector<ConfigKey>& keys, const RateKeys& names) {
  const auto index = static_cast<size_t>(names.rate);
  const http::RateRule rule = http::default_rate_rules()[index];
  keys.push_back({names.per_second, names.documentation, rule.per_second, false, true,
                  [index](Config& config, const ConfigValue& value) -> Status {
                    const double given = std::get<double>(value);
                    if (!(given >= kPerSecondMin && given <= kPerSecondMax))
                      return wrong("must be from 0.001 to 1000000");
                    config.limits.rates[index].per_second = given;
                    return {};
                  }});
  keys.push_back(
      {names.burst, "How many of them may come at once after a pause.", rule.burst, false, true,
       number([index](Config& c) -> auto& { return c.limits.rates[index].burst; }, 1, kBurstMax)});
}

std::vector<ConfigKey> make_config_keys() {
  std::vector<ConfigKey> keys = {
      {"server_name", "The name in user ids and towards other servers. It can never change.",
       std::string("example.org"), true, true, set_server_name},
      {"data_dir", "The directory that holds everything: database, media, signing key.",
       std::string("/var/lib/polder"), true, true,
       text([](Config& c) -> auto& { return c.data_dir; })},
      {"log_level", "debug, info, warning or error.", std::string("info"), false, false,
       set_log_level},
      {"runtime.shards", "Threads that serve requests; 0 is one per core.", int64_t{0}, false, true,
       number([](Config& c) -> auto& { return c.runtime.shards; }, 0, 256)},
      {"runtime.pool_threads", "Threads for what may wait for the disk.", int64_t{4}, false, true,
       number([](Config& c) -> auto& { return c.runtime.pool_threads; }, 1, 256)},
      {"storage.cache_mb", "Memory for blocks of the database, which are in the file cache too.",
       int64_t{8}, false, true,
       number([](Config& c) -> auto& { return c.storage.cache_mb; }, 8, 1 << 20)},
      {"storage.write_buffer_mb",
       "Memory for what was written and is not in the database's tables yet.", int64_t{8}, false,
       true, number([](Config& c) -> auto& { return c.storage.write_buffer_mb; }, 4, 1 << 14)},
      {"storage.log_hours", "How long the write log is kept for replicas and incremental backups.",
       int64_t{72}, false, true,
       number([](Config& c) -> auto& { return c.storage.log_hours; }, 0, 24 * 365)},
      {"storage.log_mb", "How large the kept write log may grow.", int64_t{1024}, false, true,
       number([](Config& c) -> auto& { return c.storage.log_mb; }, 0, 1 << 20)},
      {"storage.reclaim_hours",
       "How often disk is taken back that states of rooms no longer need, in the background.",
       int64_t{24}, false, true,
       number([](Config& c) -> auto& { return c.storage.reclaim_hours; }, 1, 24 * 365)},
      {"audit.keep_days",
       "How long records of what was refused, or only a privilege permitted, are kept; 0: for "
       "ever.",
       int64_t{365}, false, true,
       number([](Config& c) -> auto& { return c.audit.keep_days; }, 0, 36'500)},
      {"audit.keep_mb",
       "How large all of these may be together: the oldest go first; 0: without limit.",
       int64_t{1024}, false, true,
       number([](Config& c) -> auto& { return c.audit.keep_mb; }, 0, 1 << 20)},
      {"tls.extra_ca_files",
       "PEM files of authorities trusted for outbound connections, besides the system's.",
       Strings{}, false, true,
       store<Strings, Config>([](Config& c) -> auto& { return c.tls.extra_ca_files; })},
      {"registration.enabled", "Whether people may register.", false, false, false,
       flag([](Config& c) -> auto& { return c.registration.enabled; })},
      {"registration.tokens",
       "Whoever registers needs one of these (m.login.registration_token); none: anybody may.",
       Strings{}, false, false, set_registration_tokens},
      {"registration.shared_secret",
       "Lets tools register users at /_synapse/admin/v1/register; empty: off.", std::string(),
       false, false, text([](Config& c) -> auto& { return c.registration.shared_secret; })},
      {"registration.allow_guests", "Whether guests may register.", false, false, false,
       flag([](Config& c) -> auto& { return c.registration.allow_guests; })},
      {"rooms.cache_mb",
       "Memory for events and states of rooms, ready for use: half of it for events as clients get "
       "them.",
       int64_t{64}, false, true,
       number([](Config& c) -> auto& { return c.rooms.cache_mb; }, 1, 1 << 20)},
      {"rooms.default_version", "The version of rooms that are created without one.",
       std::string("12"), false, false, set_default_version},
      {"media.legacy_downloads", "Whether the unauthenticated download endpoints serve media.",
       false, false, true, flag([](Config& c) -> auto& { return c.media.legacy_downloads; })},
      {"media.max_upload_mb", "The largest file that can be uploaded.", int64_t{100}, false, true,
       number([](Config& c) -> auto& { return c.media.max_upload_mb; }, 1, 1 << 20)},
      {"media.user_quota_mb", "How much a user may upload altogether; 0 is no limit.", int64_t{0},
       false, true, number([](Config& c) -> auto& { return c.media.user_quota_mb; }, 0, 1 << 30)},
      {"media.max_fetch_mb",
       "The largest file of another server; up to eight are held in memory while they arrive.",
       int64_t{100}, false, true,
       number([](Config& c) -> auto& { return c.media.max_fetch_mb; }, 1, 4096)},
      {"media.remote_cache_mb",
       "How much is kept of other servers' files; the oldest make room for new ones.",
       int64_t{10'240}, false, true,
       number([](Config& c) -> auto& { return c.media.remote_cache_mb; }, 1, 1 << 30)},
      {"appservices.directory",
       "Every *.yaml in it is the registration of an application service; read again on SIGHUP.",
       std::string(), false, false,
       text([](Config& c) -> auto& { return c.appservices.directory; })},
      {"limits.rate_limits", "Whether who asks too often is told to wait.", true, false, true,
       flag([](Config& c) -> auto& { return c.limits.rate_limits; })},
      {"network.deny_private_addresses",
       "Refuses outbound requests to private, loopback and link-local addresses.", true, false,
       true, flag([](Config& c) -> auto& { return c.network.deny_private_addresses; })},
      {"federation.enabled", "Whether other servers are talked to at all.", true, false, true,
       flag([](Config& c) -> auto& { return c.federation.enabled; })},
      {"federation.public_address",
       "Where other servers reach this one, HOST or HOST:PORT, for /.well-known/matrix/server; "
       "empty: not served.",
       std::string(), false, false, set_public_address},
      {"federation.retry_initial_ms", "After a failed delivery, the first wait.", int64_t{10'000},
       false, true,
       number([](Config& c) -> auto& { return c.federation.retry_initial_ms; }, 1, 86'400'000)},
      {"federation.retry_max_ms",
       "The longest wait between deliveries to a server that does not answer.", int64_t{3'600'000},
       false, true,
       number([](Config& c) -> auto& { return c.federation.retry_max_ms; }, 1, 7 * 86'400'000)},
      {"client.public_base_url",
       "Where clients reach this server, for /.well-known/matrix/client; empty: not served.",
       std::string(), false, false,
       text([](Config& c) -> auto& { return c.client.public_base_url; })},
      {"turn.uris", "TURN servers that clients are told of.", Strings{}, false, false,
       store<Strings, Config>([](Config& c) -> auto& { return c.turn.uris; })},
      {"turn.shared_secret", "The secret shared with the TURN servers.", std::string(), false,
       false, text([](Config& c) -> auto& { return c.turn.shared_secret; })},
      {"turn.ttl_s", "How long TURN credentials are valid, in seconds.", int64_t{86'400}, false,
       false, number([](Config& c) -> auto& { return c.turn.ttl_s; }, 60, 7 * 86'400)},
      {"experimental.msc", "Matrix spec changes that are off by default, by number.", Numbers{},
       false, true, store<Numbers, Config>([](Config& c) -> auto& { return c.experimental.msc; })},
  };
  std::vector<ConfigKey> rates = budget_keys();
  std::ranges::move(account_data_keys(), std::back_inserter(rates));
  for (const RateKeys& names : kRateKeys)
    add_rate_keys(rates, names);
  rates.push_back(
      {"limits.federation.at_once", "How many requests of another server may be under way.",
       int64_t{100}, false, true,
       number([](Config& c) -> auto& { return c.limits.servers_at_once; }, 1, 100'000)});
  const auto limits = std::ranges::find(keys, "limits.rate_limits", &ConfigKey::path);
  keys.insert(std::next(limits), rates.begin(), rates.end());
  return keys;
}

}  // namespace

std::span<const ConfigKey> config_keys() {
  static const std::vector<ConfigKey> keys = make_config_keys();
  return keys;
}

std::span<const ListenerKey> listener_keys() {
  static const std::vector<ListenerKey> keys = {
      {"bind", "The IP address to listen at, or a name of this machine for all that it stands for.",
       std::string("127.0.0.1"), true, true, set_bind},
      {"port", "The TCP port; 0 takes a free one.", int64_t{8008}, true, true, set_port},
      {"resources",
       "Any of client, federation, media, admin, metrics, health; left out: all but metrics.",
       Strings{"client", "federation", "media", "admin", "health"}, false, true, set_resources},
      {"tls_certificate", "PEM file with the certificate chain; left out: no TLS.",
       std::string("/etc/polder/tls.crt"), false, false,
       store<std::string, ListenerConfig>(
           [](ListenerConfig& l) -> auto& { return l.tls_certificate; })},
      {"tls_key", "PEM file with the certificate's key.", std::string("/etc/polder/tls.key"), false,
       false,
       store<std::string, ListenerConfig>([](ListenerConfig& l) -> auto& { return l.tls_key; })},
      {"trusted_proxies",
       "Addresses and ranges such as 10.0.0.0/8 of reverse proxies. Only what they append to "
       "X-Forwarded-For tells who a client is; everybody else's is ignored.",
       Strings{}, false, true, set_trusted_proxies},
  };
  return keys;
}

}  // namespace polder::server
