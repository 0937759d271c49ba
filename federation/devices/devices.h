// End-to-end encryption across servers, and what is ephemeral: all parts of this module, joined.
#pragma once

#include "federation/devices/encryption.h"
#include "federation/devices/ephemeral.h"
#include "federation/devices/list_updates.h"
#include "federation/devices/outgoing_messages.h"
#include "federation/devices/parts.h"
#include "federation/devices/remote_devices.h"
#include "federation/devices/room_entries.h"

namespace polder::devices {

// Made before the sender starts; outlives all tasks.
class Devices {
 public:
  explicit Devices(const Parts& given)
      : parts(given),
        outgoing(parts),
        updates(parts),
        entries(parts),
        remote(parts),
        encryption(parts, outgoing, remote),
        ephemeral(parts) {
    // Messages first: they carry the keys to events.
    parts.sender.add_source(outgoing);
    parts.sender.add_source(updates);
  }

  // Reads where it left off. Synchronous; before the sender starts.
  Status start() {
    POLDER_CHECK(outgoing.start());
    return updates.start();
  }

  const Parts parts;
  OutgoingMessages outgoing;
  ListUpdates updates;
  RoomEntries entries;  // contributes to rooms
  RemoteDevices remote;
  Encryption encryption;
  Ephemeral ephemeral;
};

}  // namespace polder::devices
