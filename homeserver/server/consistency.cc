#include "homeserver/server/consistency.h"

#include "homeserver/events/event.h"

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
  if (event->is("m.room.member")) facts.membership = event->membership();
  return facts;
}

}  // namespace

Result<stores::CheckReport> check_consistency(const kv::Database& database) {
  return stores::check_database(*database.snapshot(), database.last_position(), read_facts);
}

}  // namespace polder::server
