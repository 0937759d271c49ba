// The backup directory: contents named by their digests, and the lists that name them.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "storage/backup/listing.h"
#include "storage/files/files.h"

namespace polder::backup {

// One user at a time.
class Repository {
 public:
  Repository(files::FileSystem& files, std::string directory)
      : files_(files), directory_(std::move(directory)) {}

  // Before anything is written. Makes the directory; kExists if another process writes there.
  Status lock();

  // The numbers of the backups, ascending.
  Result<std::vector<uint64_t>> numbers() const;
  Result<Listing> read(uint64_t number) const;
  // Makes a list durable, with the names of the contents that were added before.
  Status add(uint64_t number, const Listing& listing);
  // Forgets all backups but the newest, then the contents that no backup names.
  Status keep(size_t count);

  bool has(const Digest& digest, uint64_t size) const;
  struct Added {
    Digest digest{};
    bool is_new = false;
  };
  // The first `size` bytes of a file. kCorrupt if it is shorter.
  Result<Added> add_file(const std::string& path, uint64_t size);
  // Drops a content that was not what it should be.
  Status drop(const Digest& digest);
  // Writes a content to a path, synced but for the name; empty: only reads it. kCorrupt if it is
  // not what was put in.
  Status get(const File& file, const std::string& path) const;

 private:
  std::string path_of(const Digest& digest) const;
  std::string list_path(uint64_t number) const;
  Status publish(const std::string& temporary, const Digest& digest);
  Status remove_unnamed(const std::set<std::string>& named);
  Status remove_unnamed(const std::string& folder, const std::set<std::string>& named);

  files::FileSystem& files_;
  const std::string directory_;
  std::unique_ptr<files::FileLock> lock_;
  std::set<std::string> unsynced_;  // folders with new names
};

}  // namespace polder::backup
