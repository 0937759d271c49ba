#include "homeserver/server/consistency.h"

#include "homeserver/protocol/events/event.h"
#include "media/files/content_store.h"
#include "storage/stores/media/media_rows.h"

namespace polder::server {
namespace {

Result<stores::EventFacts> read_facts(std::string_view room_version, std::string_view json) {
  const events::RoomVersionRules* rules = events::find_room_version(room_version);
  if (rules == nullptr) return fail(ErrorCode::kUnsupported, "unknown room version");
  POLDER_TRY(const auto event, events::Event::parse(json, *rules));
  stores::EventFacts facts;
  facts.id = event->id();
  facts.type = event->type();
  facts.state_key = event->state_key();
  facts.time_ms = event->origin_server_ts();
  if (event->is("m.room.member")) facts.membership = event->membership();
  return facts;
}

}  // namespace

Result<stores::CheckReport> check_consistency(const kv::Database& database) {
  return stores::check_database(*database.snapshot(), database.last_position(), read_facts);
}

Status check_media(const kv::Database& database, files::FileSystem& files,
                   const std::string& directory, stores::CheckReport& report) {
  return stores::for_each_referenced(*database.snapshot(), [&](const Digest& digest) -> Status {
    const Status read = media::check_content(files, directory, digest);
    if (!read.ok() && report.faults.size() < stores::kMaxFaults)
      report.faults.push_back(read.error().message);
    return {};
  });
}

}  // namespace polder::server
