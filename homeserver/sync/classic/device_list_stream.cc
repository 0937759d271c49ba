#include "homeserver/sync/classic/device_list_stream.h"

#include "homeserver/sync/classic/device_lists.h"

namespace polder::sync {

Result<bool> DeviceListStream::write(const Reading& reading, Part part, json::Writer& writer) {
  if (part != Part::kMembers || !reading.since) return false;
  POLDER_TRY(const DeviceLists lists, device_list_changes(reading.services.rooms, reading.snapshot,
                                                          {reading.request.number, reading.rooms},
                                                          reading.from(), reading.next.position));
  if (lists.changed.empty() && lists.left.empty()) return false;
  writer.key("device_lists").begin_object();
  writer.key("changed").value(lists.changed).key("left").value(lists.left).end_object();
  return true;
}

}  // namespace polder::sync
