// Any bytes as a PDU of any room version: what is accepted reads the same from what is stored of
// it, and its redacted copy is an event of the same id, place and signatures.
//
// The input is a byte that picks the room version ('<' is version 1, 'G' is version 12), and the
// PDU.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "homeserver/base/json/parse.h"
#include "homeserver/base/json/write.h"
#include "homeserver/base/values/bytes.h"
#include "homeserver/protocol/events/client_format.h"
#include "homeserver/protocol/events/event.h"
#include "homeserver/protocol/events/signing.h"

namespace polder::events {
namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

// Everything but what redaction may take away.
void require_same_place(const Event& a, const Event& b) {
  require(a.id() == b.id() && a.room_id() == b.room_id() && a.sender() == b.sender());
  require(a.type() == b.type() && a.state_key() == b.state_key());
  require(a.depth() == b.depth() && a.origin_server_ts() == b.origin_server_ts());
  require(a.prev_events() == b.prev_events() && a.auth_events() == b.auth_events());
  require(a.membership() == b.membership());
}

void check_limits(const Event& event, const RoomVersionRules& rules) {
  require(event.json().size() <= kMaxEventBytes && event.json() == json::write(event.object()));
  require(!event.object().contains("unsigned"));
  require(event.depth() >= 0 && event.depth() <= json::kMaxCanonicalInt);
  require(event.prev_events().size() <= kMaxPrevEvents);
  require(event.auth_events().size() <= kMaxAuthEvents);
  require(event.room_id().server().has_value() != rules.room_id_is_create_hash);
  if (rules.strict_canonical_json) require(json::is_canonical(event.object()));
}

void check_signatures(const Event& event) {
  for (const ServerName& server : required_signers(event))
    require(ServerName::parse(server.view()).ok());
  for (const SignatureRef& signature : signatures_of(event.object()))
    require(signature.key.algorithm() == "ed25519");
  json::Object hashed = event.object();
  hashed.set("hashes", json::object({{"sha256", base::base64_encode(content_hash(hashed))}}));
  require(content_hash_matches(hashed));
}

void check_redaction(const Event& event, const RoomVersionRules& rules) {
  const json::Object once = redact(event.object(), rules);
  require(redact(once, rules) == once);
  require(signed_bytes_of_event(once, rules) == signed_bytes_of_event(event.object(), rules));
  const auto redacted = Event::parse(once, rules);
  require(redacted.ok());
  require_same_place(**redacted, event);
}

void check_client_format(const Event& event) {
  for (const bool redacted : {false, true}) {
    const auto head = json::parse_object(client_head(event, redacted) + "}");
    require(head.ok() && head->find_object("content") != nullptr);
    require(*head->find_string("event_id") == event.id().str());
    require(!head->contains("unsigned") && !head->contains("room_id"));
  }
  require(stripped_state(event).size() == 4);
}

void check(std::string_view pdu, const RoomVersionRules& rules) {
  const auto event = Event::parse(pdu, rules);
  if (!event.ok()) return;
  check_limits(**event, rules);
  const auto again = Event::parse((*event)->json(), rules);
  require(again.ok() && (*again)->json() == (*event)->json());
  require((*again)->object() == (*event)->object());
  require_same_place(**again, **event);
  check_signatures(**event);
  check_redaction(**event, rules);
  check_client_format(**event);
}

}  // namespace
}  // namespace polder::events

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const auto versions = polder::events::room_versions();
  polder::events::check({reinterpret_cast<const char*>(data) + 1, size - 1},
                        versions[data[0] % versions.size()]);
  return 0;
}
