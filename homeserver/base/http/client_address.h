// From where a request comes, if proxies pass it on. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "homeserver/base/http/message.h"
#include "homeserver/base/values/ip_address.h"

namespace polder::http {

// The address of the client: that of the peer, or, as long as it is that of a trusted proxy, the
// one before it in X-Forwarded-For, which each proxy appends to. What stands left of the first
// address that is not trusted, anybody may have written.
std::string client_address(std::string_view peer, const Headers& headers,
                           const std::vector<IpRange>& trusted_proxies);

}  // namespace polder::http
