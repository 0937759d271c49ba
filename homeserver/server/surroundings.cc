#include "homeserver/server/surroundings.h"

#include <netdb.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <set>

#include "appservices/registry/load.h"
#include "homeserver/base/http/client.h"
#include "homeserver/base/http/server.h"
#include "storage/files/files.h"

namespace polder::server {
namespace {

// What to do about a file that cannot be used.
constexpr const char* kPemFiles = "; name PEM files that the server's user may read";

bool everybody_may_read(const std::string& path) {
  std::error_code error;
  const auto permissions = std::filesystem::status(path, error).permissions();
  return !error &&
         (permissions & std::filesystem::perms::others_read) != std::filesystem::perms::none;
}

std::string readable(const std::string& path, std::string_view what) {
  return path + " holds " + std::string(what) + ", and everybody may read it: chmod o= " + path;
}

}  // namespace

Result<std::vector<std::string>> bind_addresses(const std::string& bind) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  const int failed = getaddrinfo(bind.c_str(), nullptr, &hints, &found);
  if (failed != 0)
    return fail(ErrorCode::kInvalid, "\"" + bind + "\" is no address: " + gai_strerror(failed));
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> list(found, freeaddrinfo);
  std::vector<std::string> addresses;
  for (const addrinfo* entry = found; entry != nullptr; entry = entry->ai_next) {
    char text[NI_MAXHOST];
    if (getnameinfo(entry->ai_addr, entry->ai_addrlen, text, sizeof text, nullptr, 0,
                    NI_NUMERICHOST) != 0)
      continue;
    if (std::ranges::find(addresses, text) == addresses.end()) addresses.emplace_back(text);
  }
  if (addresses.empty()) return fail(ErrorCode::kInvalid, "\"" + bind + "\" is no address");
  return addresses;
}

std::vector<std::string> unknown_binds(const Config& config) {
  std::vector<std::string> faults;
  for (const ListenerConfig& listener : config.listeners) {
    const auto addresses = bind_addresses(listener.bind);
    if (!addresses.ok()) faults.push_back("listeners.bind: " + addresses.error().message);
  }
  return faults;
}

std::vector<std::string> unusable_certificates(const Config& config) {
  std::vector<std::string> faults;
  for (size_t i = 0; i < config.listeners.size(); ++i) {
    const ListenerConfig& listener = config.listeners[i];
    if (listener.tls_certificate.empty()) continue;
    const Status usable = http::check_certificate(listener.tls_certificate, listener.tls_key);
    if (!usable.ok()) {
      faults.push_back("listeners[" + std::to_string(i) +
                       "].tls_certificate, tls_key: " + usable.error().message + kPemFiles);
    }
  }
  const Status usable = http::check_authorities(config.tls.extra_ca_files);
  if (!usable.ok()) faults.push_back("tls.extra_ca_files: " + usable.error().message + kPemFiles);
  return faults;
}

std::vector<std::string> readable_secrets(const Config& config, const std::string& path) {
  std::vector<std::string> warnings;
  const bool secrets =
      !config.registration.shared_secret.empty() || !config.turn.shared_secret.empty();
  if (secrets && everybody_may_read(path)) warnings.push_back(readable(path, "secrets"));
  std::set<std::string> keys;
  for (const ListenerConfig& listener : config.listeners)
    keys.insert(listener.tls_key);
  for (const std::string& key : keys) {
    if (!key.empty() && everybody_may_read(key))
      warnings.push_back(readable(key, "a certificate's key"));
  }
  if (config.appservices.directory.empty()) return warnings;
  const auto registrations =
      appservices::registration_files(*files::real_files(), config.appservices.directory);
  if (!registrations.ok()) return warnings;  // told of where they are read
  for (const std::string& registration : *registrations) {
    if (everybody_may_read(registration))
      warnings.push_back(readable(registration, "the tokens of an application service"));
  }
  return warnings;
}

}  // namespace polder::server
