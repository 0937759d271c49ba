#include "media/files/probe.h"

namespace polder::media {

void probe(const Library& library, metrics::Sink& sink) {
  const LibraryStats& stats = library.stats();
  const std::pair<const char*, const LibraryStats::Kind&> kinds[] = {
      {"uploaded", stats.uploaded}, {"fetched", stats.fetched}, {"read", stats.read}};
  for (const auto& [what, kind] : kinds) {
    sink.counter("polder_media_files_total", "Media that users uploaded, fetched and read.",
                 {{"what", what}}, static_cast<double>(kind.files.value()));
    sink.counter("polder_media_bytes_total", "Their bytes.", {{"what", what}},
                 static_cast<double>(kind.bytes.value()));
  }
}

}  // namespace polder::media
