// The database's own description: its schema number and the server that it belongs to.
#pragma once

#include "homeserver/base/values/ids.h"
#include "storage/kv/kv.h"

namespace polder::server {

// What is on disk changes its meaning only with this number (docs/formats), and the number only
// with a migration from the one before (migrations.h). A small database of each that has been
// released stands in tests/fixtures.
inline constexpr uint64_t kSchemaNumber = 4;

// Writes the description into an empty database; brings one that has it to this schema. The error
// is kUnsupported for a schema that is newer or that no migration leads on from, kInvalid if the
// database is another server's, kCorrupt if the description is damaged. A later schema that adds to
// the description keeps the format of the number.
Status open_schema(kv::Database& database, const ServerName& server_name, Log& log);

}  // namespace polder::server
