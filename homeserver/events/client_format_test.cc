#include "homeserver/events/client_format.h"

#include "homeserver/events/test_events.h"

namespace polder::events {
namespace {

TEST(ClientFormat, HasWhatClientsGetAndNoMore) {
  json::Object pdu = pdu_with("type", "m.room.redaction");
  pdu.set("redacts", "$gone");
  const auto event = *Event::parse(pdu, version("10"));
  EXPECT_EQ(
      client_head(*event, false) + "}",
      std::string(R"({"content":{"body":"x"},"event_id":")") + event->id().str() +
          R"(","origin_server_ts":7,"redacts":"$gone","sender":"@a:domain","type":"m.room.redaction"})");
  EXPECT_EQ(client_head(*event, true) + "}",
            std::string(R"({"content":{},"event_id":")") + event->id().str() +
                R"(","origin_server_ts":7,"sender":"@a:domain","type":"m.room.redaction"})");
}

}  // namespace
}  // namespace polder::events
