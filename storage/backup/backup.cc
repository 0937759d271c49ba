#include "storage/backup/backup.h"

#include <algorithm>
#include <map>
#include <set>

#include "storage/backup/repository.h"
#include "storage/kv/pin.h"
#include "storage/kv/rocks.h"

namespace polder::backup {
namespace {

constexpr std::string_view kUnfinished = "restore-unfinished";
constexpr std::string_view kConfigName = "polder.toml";
constexpr std::string_view kKeyName = "signing.key";
constexpr kv::Position kPositionsSkipped = kv::Position{1} << 32;

kv::RocksOptions database_at(const Locations& locations, std::string directory) {
  return {.files = locations.files,
          .log = locations.log,
          .directory = std::move(directory),
          .create_if_missing = false};
}

// Adds the files of a data directory to a repository and to a list.
class Collection {
 public:
  Collection(const Locations& locations, Repository& repository)
      : places_(locations), repository_(repository) {}

  Listing listing;
  Report report;

  // Tables never change, so those of the last backup need not be read again.
  Status add_database(const kv::PinnedDatabase& pinned, const std::string& folder,
                      const Listing& last) {
    std::map<std::string, File> known;
    if (last.database == pinned.identity) {
      for (const File& file : last.files)
        known.emplace(file.name, file);
    }
    listing.database = pinned.identity;
    for (const kv::PinnedFile& file : pinned.files) {
      const std::string name = "database/" + file.name;
      const auto found = known.find(name);
      const bool reused = file.complete && found != known.end() &&
                          found->second.size == file.size &&
                          repository_.has(found->second.digest, file.size);
      if (reused) {
        note(found->second, false);
      } else {
        POLDER_CHECK(add(name, folder + "/" + file.name, file.size));
      }
    }
    return {};
  }

  // Files are named by their contents. One that goes meanwhile belongs to media that are removed.
  Status add_media() {
    const std::string root = places_.data_dir + "/media";
    const auto folders = places_.files.list(root);
    if (!folders.ok()) return ignore_missing(folders.error());
    for (const auto& folder : *folders) {
      if (!folder.is_directory || folder.name.size() != 2) continue;
      POLDER_TRY(const auto entries, places_.files.list(root + "/" + folder.name));
      for (const auto& entry : entries)
        POLDER_CHECK(add_medium(folder.name, entry.name));
    }
    return {};
  }

  Status add(const std::string& name, const std::string& path, uint64_t size) {
    POLDER_TRY(const Repository::Added added, repository_.add_file(path, size));
    note({name, size, added.digest}, added.is_new);
    return {};
  }

 private:
  static Status ignore_missing(const Error& error) {
    return error.code == ErrorCode::kNotFound ? Status() : Status(error);
  }

  void note(File file, bool copied) {
    ++report.files;
    report.bytes += file.size;
    if (copied) report.bytes_copied += file.size;
    listing.files.push_back(std::move(file));
  }

  Status add_medium(const std::string& folder, const std::string& rest) {
    const auto bytes = base::hex_decode(folder + rest);
    if (!bytes.ok() || bytes->size() != Digest{}.size()) return {};
    const std::string name = "media/" + folder + "/" + rest;
    const std::string path = places_.data_dir + "/" + name;
    const auto about = places_.files.info(path);
    if (!about.ok()) return ignore_missing(about.error());
    File file{name, about->size, {}};
    std::ranges::copy(as_bytes(*bytes), file.digest.begin());
    if (repository_.has(file.digest, file.size)) {
      note(std::move(file), false);
      return {};
    }
    const auto added = repository_.add_file(path, file.size);
    if (!added.ok()) return ignore_missing(added.error());
    if (added->digest == file.digest) {
      note(std::move(file), added->is_new);
      return {};
    }
    report.damaged.push_back(name);
    return added->is_new ? repository_.drop(added->digest) : Status();
  }

  const Locations& places_;
  Repository& repository_;
};

Status collect(const Locations& locations, const Source& source, const Listing& last,
               Collection& collection) {
  const std::string folder = locations.data_dir + "/backup-pin";
  POLDER_TRY(const auto lock, locations.files.lock(locations.data_dir + "/backup.lock"));
  POLDER_TRY(const auto pinned,
             kv::pin_rocks(locations.files, locations.data_dir + "/database", folder));
  POLDER_CHECK(kv::verify_rocks(database_at(locations, folder), locations.columns));
  POLDER_CHECK(collection.add_database(pinned, folder, last));
  const std::string config = folder + "/" + std::string(kConfigName);
  POLDER_CHECK(locations.files.write_atomically(config, source.config));
  POLDER_CHECK(collection.add(std::string(kConfigName), config, source.config.size()));
  POLDER_CHECK(kv::remove_folder(locations.files, folder));
  const std::string key = locations.data_dir + "/" + std::string(kKeyName);
  POLDER_TRY(const auto about, locations.files.info(key));
  POLDER_CHECK(collection.add(std::string(kKeyName), key, about.size));
  return collection.add_media();
}

Report report_of(uint64_t number, const Listing& listing) {
  Report report{number, listing.server_name, listing.made_ms, listing.files.size(), 0, 0, {}};
  for (const File& file : listing.files)
    report.bytes += file.size;
  return report;
}

struct Chosen {
  uint64_t number = 0;
  Listing listing;
};

Result<Chosen> choose(const Locations& locations, const Repository& repository, uint64_t number) {
  POLDER_TRY(const auto numbers, repository.numbers());
  const bool there = number == 0 ? !numbers.empty() : std::ranges::count(numbers, number) > 0;
  if (!there) {
    const std::string which = number == 0 ? "no backup" : "no backup " + std::to_string(number);
    return fail(ErrorCode::kNotFound, locations.backup_dir + ": " + which);
  }
  Chosen chosen{number == 0 ? numbers.back() : number, {}};
  POLDER_TRY(chosen.listing, repository.read(chosen.number));
  return chosen;
}

Status must_be_empty(files::FileSystem& files, const std::string& data_dir) {
  const auto entries = files.list(data_dir);
  if (entries.ok() && !entries->empty()) {
    return fail(ErrorCode::kExists, data_dir + ": not empty (" + entries->front().name +
                                        "): a restore overwrites nothing");
  }
  if (!entries.ok() && entries.error().code != ErrorCode::kNotFound) return entries.error();
  return files.create_directories(data_dir);
}

Status write_files(const Locations& locations, const Repository& repository,
                   const Listing& listing) {
  std::set<std::string> folders;
  for (const File& file : listing.files) {
    const std::string path = locations.data_dir + "/" + file.name;
    if (folders.insert(files::parent_of(path)).second)
      POLDER_CHECK(locations.files.create_directories(files::parent_of(path)));
    POLDER_CHECK(repository.get(file, path));
  }
  for (const std::string& folder : folders)
    POLDER_CHECK(locations.files.sync_directory(folder));
  return {};
}

// Tokens that clients have, of positions behind the backup, must not stand for what comes now.
Status skip_positions(const Locations& locations) {
  POLDER_TRY(
      const auto database,
      kv::open_rocks(database_at(locations, locations.data_dir + "/database"), locations.columns));
  kv::Batch batch;
  batch.reserve_position();
  const kv::Batch* one = &batch;
  POLDER_CHECK(database->write({&one, 1}, database->last_position() + kPositionsSkipped, true));
  return database->close();
}

}  // namespace

Result<Report> back_up(const Locations& locations, const Source& source) {
  Repository repository(locations.files, locations.backup_dir);
  POLDER_CHECK(repository.lock());
  POLDER_TRY(const auto numbers, repository.numbers());
  Listing last;
  if (!numbers.empty()) {
    POLDER_TRY(last, repository.read(numbers.back()));
  }
  Collection collection(locations, repository);
  POLDER_CHECK(collect(locations, source, last, collection));
  collection.listing.server_name = source.server_name;
  collection.listing.made_ms = source.now_ms;
  Report& report = collection.report;
  report.server_name = source.server_name;
  report.made_ms = source.now_ms;
  report.number = numbers.empty() ? 1 : numbers.back() + 1;
  POLDER_CHECK(repository.add(report.number, collection.listing));
  POLDER_CHECK(repository.keep(source.keep));
  return std::move(collection.report);
}

Result<Report> verify(const Locations& locations, uint64_t number) {
  const Repository repository(locations.files, locations.backup_dir);
  POLDER_TRY(const Chosen chosen, choose(locations, repository, number));
  for (const File& file : chosen.listing.files)
    POLDER_CHECK(repository.get(file, ""));
  return report_of(chosen.number, chosen.listing);
}

Result<Report> restore(const Locations& locations, uint64_t number) {
  const Repository repository(locations.files, locations.backup_dir);
  POLDER_TRY(const Chosen chosen, choose(locations, repository, number));
  POLDER_CHECK(must_be_empty(locations.files, locations.data_dir));
  const std::string unfinished = locations.data_dir + "/" + std::string(kUnfinished);
  POLDER_CHECK(locations.files.write_atomically(unfinished, ""));
  POLDER_CHECK(write_files(locations, repository, chosen.listing));
  POLDER_CHECK(locations.files.sync_directory(locations.data_dir));
  POLDER_CHECK(skip_positions(locations));
  POLDER_CHECK(locations.files.remove_file(unfinished));
  POLDER_CHECK(locations.files.sync_directory(locations.data_dir));
  return report_of(chosen.number, chosen.listing);
}

Status check_restored(files::FileSystem& files, const std::string& data_dir) {
  if (!files.info(data_dir + "/" + std::string(kUnfinished)).ok()) return {};
  return fail(ErrorCode::kInvalid,
              "a restore into it did not come to its end: empty it, and "
              "restore again");
}

}  // namespace polder::backup
