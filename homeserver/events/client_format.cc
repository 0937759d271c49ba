#include "homeserver/events/client_format.h"

#include "homeserver/events/signing.h"
#include "homeserver/json/write.h"

namespace polder::events {

std::string client_head(const Event& event, bool redacted) {
  const json::Object content =
      redacted ? *redact(event.object(), event.rules()).find_object("content") : event.content();
  std::string out;
  out.reserve(event.json().size());
  json::Writer writer(out);
  writer.begin_object().key("content").value(content);
  writer.member("event_id", event.id().view()).member("origin_server_ts", event.origin_server_ts());
  // Clients that predate version 11 look for `redacts` at the top level, newer ones in the content.
  if (const auto redacts = event.redacts(); redacts && !redacted)
    writer.member("redacts", redacts->view());
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

}  // namespace polder::events
