// What is measured of users.
#pragma once

#include "homeserver/base/metrics/metrics.h"
#include "homeserver/users/users.h"

namespace polder::users {

void probe(const Users& users, metrics::Sink& sink);

}  // namespace polder::users
