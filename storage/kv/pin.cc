#include "storage/kv/pin.h"

#include <algorithm>

namespace polder::kv {
namespace {

constexpr uint64_t kSmallFileBytesMax = 4096;
constexpr int kTriesMax = 1000;

// RocksDB's list of its files: which one it is, and how far it has got. What it names has been
// synced before, and is removed only after the list has grown by that.
struct Manifest {
  std::string name;
  uint64_t size = 0;

  bool operator==(const Manifest&) const = default;
};

Result<Manifest> find_manifest(files::FileSystem& files, const std::string& database) {
  Manifest manifest;
  POLDER_TRY(manifest.name, files.read_all(database + "/CURRENT", kSmallFileBytesMax));
  if (manifest.name.empty() || manifest.name.back() != '\n')
    return fail(ErrorCode::kCorrupt, database + "/CURRENT: names no manifest");
  manifest.name.pop_back();
  POLDER_TRY(const auto about, files.info(database + "/" + manifest.name));
  manifest.size = about.size;
  return manifest;
}

struct Listed {
  std::vector<std::string> tables;
  std::vector<std::string> logs;  // the newest first
};

Result<Listed> list_files(files::FileSystem& files, const std::string& database) {
  POLDER_TRY(const auto entries, files.list(database));
  Listed listed;
  for (const auto& entry : entries) {
    if (entry.name.ends_with(".sst")) listed.tables.push_back(entry.name);
    if (entry.name.ends_with(".log")) listed.logs.push_back(entry.name);
  }
  // Numbers have six digits at the least.
  std::ranges::sort(listed.logs, [](const std::string& a, const std::string& b) {
    return std::pair(a.size(), a) > std::pair(b.size(), b);
  });
  return listed;
}

// The size is taken after the link: until then the file might go.
Status pin_file(files::FileSystem& files, const std::string& database, const std::string& folder,
                const std::string& name, PinnedDatabase& pinned) {
  POLDER_CHECK(files.link(database + "/" + name, folder + "/" + name));
  POLDER_TRY(const auto about, files.info(folder + "/" + name));
  pinned.files.push_back({name, about.size, name.ends_with(".sst")});
  return {};
}

// One try. If the manifest is at the end what it was at the beginning, all tables that it names
// were there in between. Of the write logs the newest comes first: when an older one is looked at,
// it has got its last byte, so that nothing is missing before what is there of the newer.
Result<PinnedDatabase> pin_once(files::FileSystem& files, const std::string& database,
                                const std::string& folder) {
  PinnedDatabase pinned;
  POLDER_TRY(const Manifest before, find_manifest(files, database));
  POLDER_TRY(const Listed listed, list_files(files, database));
  for (const std::string& name : listed.logs)
    POLDER_CHECK(pin_file(files, database, folder, name, pinned));
  for (const std::string& name : listed.tables)
    POLDER_CHECK(pin_file(files, database, folder, name, pinned));
  POLDER_TRY(const auto manifest, files.open_for_read(database + "/" + before.name));
  POLDER_TRY(const std::string list, manifest->read(0, before.size));
  POLDER_TRY(const Manifest after, find_manifest(files, database));
  if (before != after) return fail(ErrorCode::kUnavailable, "the database's files changed");
  // No link: who opened the folder would read of tables that came later.
  POLDER_CHECK(files.write_atomically(folder + "/" + before.name, list));
  pinned.files.push_back({before.name, before.size, false});
  POLDER_CHECK(files.write_atomically(folder + "/CURRENT", before.name + "\n"));
  pinned.files.push_back({"CURRENT", before.name.size() + 1, false});
  POLDER_TRY(pinned.identity, files.read_all(database + "/IDENTITY", kSmallFileBytesMax));
  std::erase(pinned.identity, '\n');
  return pinned;
}

}  // namespace

Status remove_folder(files::FileSystem& files, const std::string& folder) {
  const auto entries = files.list(folder);
  if (!entries.ok())
    return entries.error().code == ErrorCode::kNotFound ? Status() : Status(entries.error());
  for (const auto& entry : *entries)
    POLDER_CHECK(files.remove_file(folder + "/" + entry.name));
  return files.remove_directory(folder);
}

Result<PinnedDatabase> pin_rocks(files::FileSystem& files, const std::string& database,
                                 const std::string& folder) {
  POLDER_CHECK(files.info(database + "/CURRENT"));
  for (int tries = 0; tries < kTriesMax; ++tries) {
    POLDER_CHECK(remove_folder(files, folder));
    POLDER_CHECK(files.create_directories(folder));
    auto pinned = pin_once(files, database, folder);
    if (pinned.ok()) return pinned;
    const ErrorCode code = pinned.error().code;
    // A file that is gone was replaced by others meanwhile.
    if (code != ErrorCode::kUnavailable && code != ErrorCode::kNotFound) return pinned;
  }
  return fail(ErrorCode::kUnavailable, database + ": its files never stood still");
}

}  // namespace polder::kv
