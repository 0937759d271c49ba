// What is measured of media.
#pragma once

#include "homeserver/base/metrics/metrics.h"
#include "media/files/library.h"

namespace polder::media {

void probe(const Library& library, metrics::Sink& sink);

}  // namespace polder::media
