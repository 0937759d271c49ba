// What is measured of interned names.
#pragma once

#include "homeserver/base/metrics/metrics.h"
#include "storage/stores/base/names.h"

namespace polder::stores {

void probe(const Names& names, metrics::Sink& sink);

}  // namespace polder::stores
