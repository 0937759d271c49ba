// The check of a database, with what the contents of events say.
#pragma once

#include "storage/files/files.h"
#include "storage/kv/kv.h"
#include "storage/stores/check/check.h"

namespace polder::server {

// stores::check_database(), up to the database's last position, with every event read by the rules
// of its room's version.
Result<stores::CheckReport> check_consistency(const kv::Database& database);

// Reads the file of every row of media below a directory, and adds what is missing or damaged.
Status check_media(const kv::Database& database, files::FileSystem& files,
                   const std::string& directory, stores::CheckReport& report);

}  // namespace polder::server
