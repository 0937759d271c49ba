// Reading answers of name servers (RFC 1035, RFC 2782). Pure.
#pragma once

#include <span>

#include "homeserver/base/egress/resolver.h"

namespace polder::egress {

// The SRV records of an answer. kMalformed, or kNotFound if there is none.
Result<Services> parse_services(std::span<const uint8_t> message);

}  // namespace polder::egress
