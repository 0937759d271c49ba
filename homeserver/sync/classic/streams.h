// The list of the streams that a response is made of, besides the events of rooms.
#pragma once

#include <array>

#include "homeserver/sync/classic/account_data_stream.h"
#include "homeserver/sync/classic/device_list_stream.h"
#include "homeserver/sync/classic/key_count_stream.h"
#include "homeserver/sync/classic/push_rule_stream.h"
#include "homeserver/sync/classic/receipt_stream.h"
#include "homeserver/sync/classic/to_device_stream.h"
#include "homeserver/sync/classic/typing_stream.h"

namespace polder::sync {

class Streams {
 public:
  Streams() = default;
  Streams(const Streams&) = delete;
  Streams& operator=(const Streams&) = delete;

  Status begin(Reading& reading);
  // All that stands in the part; true if some of it is news.
  Result<bool> write(const Reading& reading, Part part, json::Writer& writer);
  bool have_news(const Reading& reading, stores::RoomNumber room) const;
  Result<bool> write_room(const Reading& reading, const RoomReading& room, Part part,
                          json::Writer& writer);

 private:
  ToDeviceStream to_device_;
  DeviceListStream device_lists_;
  KeyCountStream key_counts_;
  AccountDataStream account_data_;
  PushRuleStream push_rules_{account_data_};
  ReceiptStream receipts_;
  TypingStream typing_;
  const std::array<Stream*, 7> all_ = {&to_device_,  &device_lists_, &key_counts_, &account_data_,
                                       &push_rules_, &receipts_,     &typing_};
};

}  // namespace polder::sync
