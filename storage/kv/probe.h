// What is measured of the store.
#pragma once

#include "homeserver/base/metrics/metrics.h"
#include "storage/kv/committer.h"
#include "storage/kv/kv.h"

namespace polder::kv {

void probe(const Database& database, const Committer& committer, metrics::Sink& sink);

}  // namespace polder::kv
