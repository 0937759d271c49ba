// What was committed, by position: a page of the log at a time.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "storage/kv/kv.h"
#include "storage/stores/base/rows.h"

namespace polder::feed {

// The streams that have one row for each position at which something of theirs changed. What keeps
// its changes by user or by room only (account data, receipts) is not among them.
enum class Stream : uint8_t {
  kEvents = stores::tag_of(stores::Row::kEventStream),            // stores::stream_event_of()
  kDeviceLists = stores::tag_of(stores::Row::kDeviceListStream),  // stores::device_list_change_of()
  kRoomEntries = stores::tag_of(stores::Row::kRoomEntryStream),   // stores::room_entry_of()
};

class Streams {
 public:
  Streams(std::initializer_list<Stream> streams) : all_(streams) {
    for (const Stream stream : streams)
      bits_ |= bit(static_cast<uint8_t>(stream));
  }
  auto begin() const { return all_.begin(); }
  auto end() const { return all_.end(); }
  uint32_t bits() const { return bits_; }

  static uint32_t bit(uint8_t tag) { return tag < 32 ? uint32_t{1} << tag : 0; }

 private:
  std::vector<Stream> all_;
  uint32_t bits_ = 0;
};

// The streams to which a batch adds, as bits.
uint32_t streams_in(const kv::Batch& batch);

struct Entry {
  kv::Position position = 0;
  Stream stream = Stream::kEvents;
  std::string key_rest;  // what follows the position in the row's key
  std::string value;
};

struct Page {
  kv::Position from = 0;
  kv::Position to = 0;         // there is nothing else after `from` up to here
  std::vector<Entry> entries;  // by position, then by stream and key
};

// What the streams have after `from` up to `to`, or up to where the page is full. The entries of
// one position stand together, even if that is more than so many.
Result<Page> read_page(const kv::Snapshot& snapshot, const Streams& streams, kv::Position from,
                       kv::Position to, size_t entries_max);

}  // namespace polder::feed
