// The list of a backup's files, as text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "homeserver/base/values/bytes.h"

namespace polder::backup {

struct File {
  std::string name;  // below the data directory
  uint64_t size = 0;
  Digest digest{};
};

struct Listing {
  std::string server_name;
  int64_t made_ms = 0;
  std::string database;  // its identity
  std::vector<File> files;
};

// One line a fact, the last a checksum of all before it (docs/formats/backup.md).
std::string write_listing(const Listing& listing);
// kCorrupt for what write_listing() never wrote, kUnsupported for a later format.
Result<Listing> parse_listing(std::string_view text);

}  // namespace polder::backup
