// The configuration: one TOML file, read into an immutable value (docs/architecture.md, decision
// 17). Every key is declared once, in config_keys.cc, with its documentation; `polder config
// example` prints them, and an unknown key is an error.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "homeserver/base/http/rate_limits.h"
#include "homeserver/base/values/environment.h"
#include "homeserver/base/values/ids.h"
#include "homeserver/base/values/ip_address.h"

namespace polder::server {

enum class Resource : uint8_t { kClient, kFederation, kMedia, kAdmin, kMetrics, kHealth };

struct ListenerConfig {
  std::string bind;  // an IP address or a name
  uint16_t port = 0;
  std::vector<Resource> resources = {Resource::kClient, Resource::kFederation, Resource::kMedia,
                                     Resource::kAdmin, Resource::kHealth};
  std::string tls_certificate;  // paths of PEM files; both or neither
  std::string tls_key;
  std::vector<IpRange> trusted_proxies;  // whose X-Forwarded-For is believed
};

struct Config {
  ServerName server_name;
  std::string data_dir;
  LogLevel log_level = LogLevel::kInfo;
  std::vector<ListenerConfig> listeners;

  struct Runtime {
    int64_t shards = 0;  // 0: one per core
    int64_t pool_threads = 4;
  } runtime;
  struct Storage {
    int64_t cache_mb = 8;
    int64_t write_buffer_mb = 8;
    int64_t log_hours = 72;  // how long the write log is kept
    int64_t log_mb = 1024;
    int64_t reclaim_hours = 24;  // between looks for what rooms no longer need
  } storage;
  struct Audit {
    int64_t keep_days = 365;  // 0: for ever
    int64_t keep_mb = 1024;   // 0: without limit
  } audit;
  struct Tls {
    std::vector<std::string> extra_ca_files;
  } tls;
  struct Registration {
    bool enabled = false;
    std::string shared_secret;
    bool allow_guests = false;
    std::vector<std::string> tokens;
  } registration;
  struct Rooms {
    std::string default_version = "12";
    int64_t cache_mb = 64;
  } rooms;
  struct Media {
    bool legacy_downloads = false;
    int64_t max_upload_mb = 100;
    int64_t user_quota_mb = 0;  // 0: no limit
    int64_t max_fetch_mb = 100;
    int64_t remote_cache_mb = 10'240;
  } media;
  struct Appservices {
    std::string directory;
  } appservices;
  struct Limits {
    bool rate_limits = true;
    http::RateRules rates = http::default_rate_rules();
    int64_t servers_at_once = 100;  // requests of one server under way
    int64_t connections = 20'000;
    int64_t connections_of_network = 5'000;
    int64_t connections_of_address = 2'000;
    int64_t bodies_mb = 128;
    int64_t bodies_of_one_mb = 32;
    int64_t answers_mb = 128;
    int64_t answers_of_one_mb = 16;
    int64_t account_data_types_of_room = 1'000;
    int64_t account_data_kb_of_room = 4'096;
    int64_t account_data_types = 50'000;
    int64_t account_data_kb = 16'384;
  } limits;
  struct Network {
    bool deny_private_addresses = true;
  } network;
  struct Federation {
    bool enabled = true;
    std::string public_address;  // for .well-known/matrix/server; empty: not served
    int64_t retry_initial_ms = 10'000;
    int64_t retry_max_ms = 3'600'000;
  } federation;
  struct Client {
    std::string public_base_url;  // for .well-known/matrix/client; empty: not served
  } client;
  struct Turn {
    std::vector<std::string> uris;
    std::string shared_secret;
    int64_t ttl_s = 86'400;
  } turn;
  struct Experimental {
    std::vector<int64_t> msc;
  } experimental;

  // The keys that the file has, with their values as written by `polder config example`; those of
  // listeners by place, the first is listeners[0].
  std::map<std::string, std::string> given;

  bool has_msc(int64_t number) const;
};

// By which keys two configurations differ.
struct ConfigChanges {
  std::vector<std::string> at_once;       // take effect when the file is read again
  std::vector<std::string> with_restart;  // only then
};
ConfigChanges compare(const Config& before, const Config& after);

// Reads and checks a configuration. The error names every fault, one per line, with the line in the
// file and, for unknown keys, the nearest known one.
Result<Config> parse_config(std::string_view toml);

// Every key with its documentation and default, as a file that can be used.
std::string config_example();

}  // namespace polder::server
