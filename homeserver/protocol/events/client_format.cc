#include "homeserver/protocol/events/client_format.h"

#include <optional>

#include "homeserver/base/json/write.h"
#include "homeserver/protocol/events/signing.h"

namespace polder::events {

// Clients find `redacts` both at the top level and in the content, whichever of the two is the
// event's own
// (https://spec.matrix.org/v1.19/rooms/v11/#moving-the-redacts-property-of-mroomredaction-events-to-a-content-property).
std::string client_head(const Event& event, bool redacted) {
  const bool in_content = event.rules().redaction_of_version_11;
  // Before version 11, redaction takes it away.
  const auto redacts = redacted && !in_content ? std::nullopt : event.redacts();
  std::optional<json::Object> changed;
  if (redacted) {
    changed = *redact(event.object(), event.rules()).find_object("content");
  } else if (redacts && !in_content) {
    changed = event.content();
    changed->set("redacts", redacts->str());
  }

  std::string out;
  out.reserve(event.json().size());
  json::Writer writer(out);
  writer.begin_object().key("content").raw(json::write(changed ? *changed : event.content()));
  writer.member("event_id", event.id().view()).member("origin_server_ts", event.origin_server_ts());
  if (redacts) writer.member("redacts", redacts->view());
  writer.member("sender", event.sender().view());
  if (event.state_key()) writer.member("state_key", std::string_view(*event.state_key()));
  writer.member("type", std::string_view(event.type()));
  return out;
}

json::Object stripped_state(const Event& event) {
  return {{"content", event.content()},
          {"sender", event.sender().str()},
          {"state_key", event.state_key().value_or("")},
          {"type", event.type()}};
}

const json::Object* find_stripped(const json::Array& list, std::string_view type,
                                  std::string_view state_key) {
  for (const json::Value& entry : list) {
    const json::Object* event = entry.as_object();
    if (event == nullptr) continue;
    const std::string* its_type = event->find_string("type");
    const std::string* its_key = event->find_string("state_key");
    if (its_type != nullptr && *its_type == type && its_key != nullptr && *its_key == state_key)
      return event;
  }
  return nullptr;
}

}  // namespace polder::events
