// What is measured of other servers' keys.
#pragma once

#include "federation/keyring/keyring.h"
#include "homeserver/base/metrics/metrics.h"

namespace polder::keyring {

void probe(const Keyring& keyring, metrics::Sink& sink);

}  // namespace polder::keyring
