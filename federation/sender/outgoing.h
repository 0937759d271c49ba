// The stream of events, and of each the servers to which it must go.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "federation/sender/room_servers.h"
#include "homeserver/base/values/ids.h"
#include "homeserver/protocol/events/event.h"
#include "storage/feed/page.h"
#include "storage/kv/kv.h"
#include "storage/stores/rooms/event_rows.h"
#include "storage/stores/rooms/room_rows.h"

namespace polder::sender {

struct OutgoingEvent {
  kv::Position position = 0;
  std::shared_ptr<const std::string> pdu;
  ServerSet destinations;
  std::optional<EventId> forwarded;  // an event of another server that this one passes on
};
struct OutgoingPage {
  std::vector<OutgoingEvent> events;  // by position
  kv::Position read_to = 0;           // there is nothing else up to here
  size_t damaged = 0;                 // events that could not be read
};

// Thread-safe; reads the disk: on the pool.
class OutgoingReader {
 public:
  OutgoingReader(const kv::Database& database, stores::Names& names, stores::StateNodeCache& nodes,
                 ServerName own_name)
      : database_(database), servers_(names, nodes), own_name_(std::move(own_name)) {}

  // What a page of the stream of events has for others.
  Result<OutgoingPage> read(const kv::Snapshot& snapshot, const feed::Page& stream);
  // The same of the page after `from` and up to `to`.
  Result<OutgoingPage> read(kv::Position from, kv::Position to);

 private:
  Result<std::optional<ServerName>> asked_server(const kv::Snapshot& snapshot,
                                                 stores::RoomNumber room,
                                                 const events::Event& event,
                                                 const stores::EventRecord& record) const;
  Result<std::optional<OutgoingEvent>> outgoing(const kv::Snapshot& snapshot,
                                                const stores::StreamEvent& entry);

  const kv::Database& database_;
  RoomServers servers_;
  const ServerName own_name_;
};

}  // namespace polder::sender
