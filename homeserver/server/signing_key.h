// The server's signing key, kept below the data directory.
#pragma once

#include "homeserver/base/crypto/keys.h"
#include "homeserver/base/values/environment.h"
#include "storage/files/files.h"

namespace polder::server {

// Reads <data_dir>/signing.key, or makes one there: readable by its owner only, on disk when this
// returns.
Result<crypto::SigningKey> load_signing_key(files::FileSystem& files, const std::string& data_dir,
                                            Random& random);

}  // namespace polder::server
