#include "homeserver/server/recovery.h"

namespace polder::server {
namespace {

// More than the write log and a table need to begin with, so that a start does not fail at once.
constexpr size_t kProbeBytes = size_t{4} << 20;

Status write_probe(files::FileSystem& files, const std::string& path) {
  POLDER_TRY(const auto file, files.open_for_write(path, files::OpenMode::kTruncate));
  POLDER_CHECK(file->append(std::string(kProbeBytes, '\1')));
  POLDER_CHECK(file->sync());
  return file->close();
}

Status probe(files::FileSystem& files, const std::string& directory) {
  const std::string path = directory + "/probe";
  const Status written = write_probe(files, path);
  const Status removed = files.remove_file(path);
  return written.ok() ? removed : written;
}

}  // namespace

Task<void> wait_for_repair(runtime::Runtime& runtime, files::FileSystem& files,
                           const kv::Database& database, std::string directory) {
  for (std::string told;;) {
    co_await runtime::sleep_for(runtime, kDiskPause);
    if (!database.read_only()) continue;
    const Status probed =
        co_await runtime::on_pool(runtime, [&files, directory] { return probe(files, directory); });
    if (probed.ok()) co_return;
    if (told == probed.error().message) continue;
    told = probed.error().message;
    runtime.log().error("disk_fails", {{"reason", told}});
  }
}

}  // namespace polder::server
