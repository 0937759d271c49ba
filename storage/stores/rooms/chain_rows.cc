#include "storage/stores/rooms/chain_rows.h"

#include "storage/keys/key.h"
#include "storage/keys/value.h"
#include "storage/stores/base/rows.h"

namespace polder::stores {
namespace {

constexpr uint8_t kPlaceTag = tag_of(Row::kChainPlace);
constexpr uint8_t kEndTag = tag_of(Row::kChainEnd);
constexpr uint8_t kFormat = 1;

std::string key_of(uint8_t tag, EventPlace place) {
  return keys::KeyWriter(tag).u64(place.room).u64(place.number).str();
}

// Numbers are written as distances to what is near.
std::string encode(EventNumber number, const ChainRow& row) {
  keys::ValueWriter value(kFormat);
  value.varint(number - row.chain);
  if (row.before != 0) {
    value.varint(number - row.before);
    value.varint(row.linked == 0 ? 0 : number - row.linked);
  }
  for (const ChainLink& link : row.links) {
    value.varint(number - link.event);
    value.varint(link.event - link.chain);
  }
  return value.str();
}

// Every distance leads to an older event: whoever follows one comes to an end.
Result<ChainRow> decode(EventNumber number, std::string_view bytes) {
  keys::ValueReader reader(bytes, kFormat);
  bool sound = true;
  const auto back = [&](EventNumber from, uint64_t least) {
    const uint64_t distance = reader.varint();
    sound = sound && distance >= least && distance < from;
    return from - distance;
  };
  ChainRow row;
  row.chain = back(number, 0);
  if (row.chain != number) {
    row.before = back(number, 1);
    const EventNumber linked = back(number, 0);
    if (linked != number) row.linked = linked;
  }
  while (reader.ok() && !reader.at_end()) {
    ChainLink link;
    link.event = back(number, 1);
    link.chain = back(link.event, 0);
    row.links.push_back(link);
  }
  POLDER_CHECK(reader.finish("chain row"));
  if (!sound) return fail(ErrorCode::kCorrupt, "damaged record: chain row");
  return row;
}

Result<EventNumber> decode_end(std::string_view bytes) {
  keys::ValueReader reader(bytes, kFormat);
  const EventNumber end = reader.varint();
  POLDER_CHECK(reader.finish("chain end"));
  return end;
}

}  // namespace

void put_chain_row(kv::Batch& batch, EventPlace place, const ChainRow& row) {
  batch.put(kRelations, key_of(kPlaceTag, place), encode(place.number, row));
  if (row.before == 0) return;
  batch.put(kRelations, key_of(kEndTag, {place.room, row.chain}),
            keys::ValueWriter(kFormat).varint(place.number).str());
}

Result<EventNumber> read_chain_end(const kv::Snapshot& snapshot, RoomNumber room,
                                   EventNumber chain) {
  POLDER_TRY(const auto value, snapshot.get(kRelations, key_of(kEndTag, {room, chain})));
  if (!value) return chain;
  return decode_end(*value);
}

Status for_each_chain_row(const kv::Snapshot& snapshot, RoomNumber room, EventNumber from,
                          EventNumber to,
                          const std::function<void(EventNumber, const ChainRow&)>& visit) {
  const auto rows = snapshot.iterate(
      kRelations, {key_of(kPlaceTag, {room, from}), key_of(kPlaceTag, {room, to})});
  for (rows->seek_to_first(); rows->valid(); rows->next()) {
    keys::KeyReader key(rows->key());
    key.u8();
    key.u64();
    const EventNumber number = key.u64();
    if (!key.at_end()) return fail(ErrorCode::kCorrupt, "damaged key in column relations");
    POLDER_TRY(const ChainRow row, decode(number, rows->value()));
    visit(number, row);
  }
  return rows->status();
}

Status for_each_chain_end(const kv::Snapshot& snapshot, RoomNumber room,
                          const std::function<void(EventNumber, EventNumber)>& visit) {
  const auto rows =
      snapshot.iterate(kRelations, kv::prefix_range(keys::KeyWriter(kEndTag).u64(room).str()));
  for (rows->seek_to_first(); rows->valid(); rows->next()) {
    keys::KeyReader key(rows->key());
    key.u8();
    key.u64();
    const EventNumber chain = key.u64();
    POLDER_TRY(const EventNumber end, decode_end(rows->value()));
    visit(chain, end);
  }
  return rows->status();
}

}  // namespace polder::stores
