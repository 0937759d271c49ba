// The database's own description: its schema number and the server that it belongs to.
#pragma once

#include "homeserver/base/values/ids.h"
#include "storage/kv/kv.h"

namespace polder::server {

// What is on disk changes its meaning only with this number (docs/formats).
inline constexpr uint64_t kSchemaNumber = 4;

// Writes the description into an empty database; checks it in one that has it. kUnsupported for an
// unknown schema number, kInvalid if the database is another server's, kCorrupt if the description
// is damaged. Whatever comes after the number in a description of another schema is not known, so a
// later schema that adds to it keeps the format of these two.
Status check_schema(kv::Database& database, const ServerName& server_name);

}  // namespace polder::server
