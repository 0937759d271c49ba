#include "homeserver/server/reload.h"

namespace polder::server {
namespace {

std::string listed(const std::vector<std::string>& names) {
  std::string all;
  for (const std::string& name : names)
    all.append(all.empty() ? "" : ", ").append(name);
  return all;
}

}  // namespace

Status ConfigFile::reload(const std::function<Status(const Config&)>& take) {
  POLDER_TRY(const std::string text, files_.read_all(path_, kConfigBytesMax));
  POLDER_TRY(Config now, parse_config(text));
  const ConfigChanges changes = compare(config_, now);
  POLDER_CHECK(take(now));
  log_.info("reloaded", {{"changed", listed(changes.at_once)}});
  if (!changes.with_restart.empty())
    log_.warning("needs_restart", {{"keys", listed(changes.with_restart)}});
  // What waits for a restart is told again the next time.
  for (const std::string& key : changes.at_once) {
    if (const auto given = now.given.find(key); given != now.given.end()) {
      config_.given[key] = given->second;
    } else {
      config_.given.erase(key);
    }
  }
  newest_ = std::move(now);
  return {};
}

}  // namespace polder::server
