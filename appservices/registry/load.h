// Registrations from their files.
#pragma once

#include <string>
#include <vector>

#include "appservices/registry/registry.h"
#include "storage/files/files.h"

namespace polder::appservices {

inline constexpr uint64_t kRegistrationBytesMax = 256 << 10;

// The paths of the directory's registrations: every *.yaml in it, by name.
Result<std::vector<std::string>> registration_files(files::FileSystem& files,
                                                    const std::string& directory);

// All of them, or none: the error names every fault of every file, one a line. Reads the disk.
// Without a directory (an empty path) there are none.
Result<Registry> load_registry(files::FileSystem& files, const std::string& directory,
                               const ServerName& own_name);

}  // namespace polder::appservices
