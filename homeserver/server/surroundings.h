// What a configuration means on this machine: names of listeners, and who may read its secrets.
#pragma once

#include <string>
#include <vector>

#include "homeserver/server/config.h"

namespace polder::server {

// The IP addresses that a listener's `bind` stands for; at least one. A name is looked up as this
// machine does (/etc/hosts, name servers), which blocks: at the start only. kInvalid.
Result<std::vector<std::string>> bind_addresses(const std::string& bind);

// Listeners whose `bind` stands for no address, one message each.
std::vector<std::string> unknown_binds(const Config& config);

// Certificates, keys and authorities that cannot be used, one message each. Reads the files.
std::vector<std::string> unusable_certificates(const Config& config);

// Files with secrets that everybody on the machine may read: the configuration itself, at the
// path, if it has any, keys of certificates, and registrations of application services. One message
// each.
std::vector<std::string> readable_secrets(const Config& config, const std::string& path);

}  // namespace polder::server
