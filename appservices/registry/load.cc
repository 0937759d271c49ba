#include "appservices/registry/load.h"

#include <algorithm>

namespace polder::appservices {
namespace {

Result<Registration> load_registration(files::FileSystem& files, const std::string& path) {
  POLDER_TRY(const std::string yaml, files.read_all(path, kRegistrationBytesMax));
  POLDER_TRY(Registration registration, read_registration(yaml));
  registration.file = path;
  return registration;
}

// Of all its regular expressions.
size_t size_of(const Registration& registration) {
  size_t size = 0;
  for (const auto* kind : {&registration.users, &registration.aliases, &registration.rooms}) {
    for (const Namespace& one : *kind)
      size += one.pattern.size();
  }
  return size;
}

// The file in front of each line that does not begin with it.
void add_faults(std::string& faults, const std::string& path, std::string_view lines) {
  while (!lines.empty()) {
    const size_t end = std::min(lines.find('\n'), lines.size());
    faults.append(faults.empty() ? "" : "\n");
    if (!lines.starts_with(path)) faults.append(path).append(": ");
    faults.append(lines.substr(0, end));
    lines.remove_prefix(std::min(end + 1, lines.size()));
  }
}

}  // namespace

Result<std::vector<std::string>> registration_files(files::FileSystem& files,
                                                    const std::string& directory) {
  POLDER_TRY(const auto entries, files.list(directory));
  std::vector<std::string> paths;
  for (const files::DirectoryEntry& entry : entries) {
    const bool hidden = entry.name.starts_with('.');
    if (!hidden && !entry.is_directory && entry.name.ends_with(".yaml"))
      paths.push_back(directory + "/" + entry.name);
  }
  std::ranges::sort(paths);
  return paths;
}

Result<Registry> load_registry(files::FileSystem& files, const std::string& directory,
                               const ServerName& own_name) {
  if (directory.empty()) return Registry();
  const auto paths = registration_files(files, directory);
  if (!paths.ok()) {
    return fail(paths.error().code, "appservices.directory must be a directory that can be read: " +
                                        paths.error().message);
  }
  std::vector<Registration> registrations;
  std::string faults;
  size_t size = 0;  // beyond what is allowed no more is compiled: then it is refused
  for (const std::string& path : *paths) {
    if (size > 3 * kSetSizeMax) break;
    auto registration = load_registration(files, path);
    if (registration.ok()) {
      size += size_of(*registration);
      registrations.push_back(*std::move(registration));
    } else {
      add_faults(faults, path, registration.error().message);
    }
  }
  if (!faults.empty()) return fail(ErrorCode::kInvalid, faults);
  return Registry::create(std::move(registrations), own_name);
}

}  // namespace polder::appservices
