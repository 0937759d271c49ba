#include "homeserver/server/backups.h"

#include <cstdio>
#include <filesystem>

#include "homeserver/base/values/log.h"
#include "storage/backup/backup.h"
#include "storage/stores/base/columns.h"

namespace polder::server {
namespace {

int failed(const std::string& what, const Error& error) {
  std::fprintf(stderr, "polder: %s: %s\n", what.c_str(), error.message.c_str());
  return 1;
}

std::string describe(const backup::Report& report) {
  return "backup " + std::to_string(report.number) + " of " + report.server_name + ": " +
         std::to_string(report.files) + " files, " + std::to_string(report.bytes) + " bytes";
}

}  // namespace

int back_up(const Config& config, const std::string& config_text, const std::string& to,
            size_t keep) {
  std::error_code error;
  if (!std::filesystem::is_directory(config.data_dir, error)) {
    return failed("no backup was made",
                  fail(ErrorCode::kNotFound, "there is no directory " + config.data_dir +
                                                 ", which data_dir of the configuration names"));
  }
  const auto files = files::real_files();
  const auto log = base::make_system_log(LogLevel::kWarning);
  const base::SystemClock clock;
  const backup::Locations locations{*files, *log, stores::kColumns, config.data_dir, to};
  const auto report =
      backup::back_up(locations, {config.server_name.str(), config_text, clock.wall_ms(), keep});
  if (!report.ok()) return failed("no backup was made", report.error());
  std::printf("%s, of which %llu were copied\n", describe(*report).c_str(),
              static_cast<unsigned long long>(report->bytes_copied));
  for (const std::string& name : report->damaged)
    std::fprintf(stderr, "polder: damaged, not in the backup: %s\n", name.c_str());
  return report->damaged.empty() ? 0 : 1;
}

int restore(const RestoreArguments& arguments) {
  const auto files = files::real_files();
  const auto log = base::make_system_log(LogLevel::kWarning);
  const backup::Locations locations{*files, *log, stores::kColumns, arguments.to, arguments.from};
  const bool reads_only = arguments.to.empty();
  const auto report = reads_only ? backup::verify(locations, arguments.number)
                                 : backup::restore(locations, arguments.number);
  if (!report.ok()) return failed(reads_only ? "not good" : "not restored", report.error());
  std::printf("%s: %s\n", describe(*report).c_str(), reads_only ? "good" : "restored");
  return 0;
}

}  // namespace polder::server
