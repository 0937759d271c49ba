#include "storage/feed/page.h"

#include <algorithm>
#include <tuple>

#include "storage/keys/key.h"
#include "storage/stores/base/columns.h"

namespace polder::feed {
namespace {

std::string key_of(Stream stream, kv::Position position) {
  return keys::KeyWriter(static_cast<uint8_t>(stream)).u64(position).str();
}

// Adds a stream's entries, and moves page.to to where they were cut.
Status add_stream(const kv::Snapshot& snapshot, Stream stream, size_t entries_max, Page& page) {
  const auto rows = snapshot.iterate(stores::kStreams,
                                     {key_of(stream, page.from + 1), key_of(stream, page.to + 1)});
  size_t count = 0;
  for (rows->seek_to_first(); rows->valid(); rows->next()) {
    keys::KeyReader key(rows->key());
    key.u8();
    Entry entry;
    entry.position = key.u64();
    entry.stream = stream;
    entry.key_rest = key.tail();
    entry.value = rows->value();
    if (!key.ok()) return fail(ErrorCode::kCorrupt, "damaged key in column streams");
    if (count >= entries_max && entry.position != page.entries.back().position) {
      page.to = page.entries.back().position;
      return {};
    }
    page.entries.push_back(std::move(entry));
    ++count;
  }
  return rows->status();
}

}  // namespace

uint32_t streams_in(const kv::Batch& batch) {
  uint32_t streams = 0;
  for (const kv::Batch::Op& op : batch.ops()) {
    if (op.column != stores::kStreams || op.kind != kv::Batch::OpKind::kPut) continue;
    const std::string_view key = batch.key(op);
    if (!key.empty()) streams |= Streams::bit(static_cast<uint8_t>(key[0]));
  }
  return streams;
}

Result<Page> read_page(const kv::Snapshot& snapshot, const Streams& streams, kv::Position from,
                       kv::Position to, size_t entries_max) {
  Page page;
  page.from = from;
  page.to = to;
  for (const Stream stream : streams)
    POLDER_CHECK(add_stream(snapshot, stream, entries_max, page));
  std::erase_if(page.entries, [&](const Entry& entry) { return entry.position > page.to; });
  std::ranges::sort(page.entries, {}, [](const Entry& entry) {
    return std::tuple(entry.position, entry.stream, std::string_view(entry.key_rest));
  });
  return page;
}

}  // namespace polder::feed
