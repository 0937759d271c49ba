#include "homeserver/rooms/model/chain_view.h"

#include "homeserver/rooms/model/room_view.h"
#include "storage/stores/rooms/chain_rows.h"

namespace polder::rooms {

Result<std::shared_ptr<const ChainPage>> ChainPage::read(const kv::Snapshot& snapshot,
                                                         RoomNumber room, uint64_t page) {
  auto made = std::make_shared<ChainPage>();
  POLDER_CHECK(stores::for_each_chain_row(
      snapshot, room, page * kEvents, (page + 1) * kEvents,
      [&made](EventNumber number, const stores::ChainRow& row) {
        made->entries_.push_back(
            {row.chain, row.before, row.linked, made->links_.size(), row.links.size()});
        made->entry_of_.at(number % kEvents) = static_cast<uint16_t>(made->entries_.size());
        for (const stores::ChainLink& link : row.links)
          made->links_.push_back({link.chain, link.event});
      }));
  made->entries_.shrink_to_fit();
  made->links_.shrink_to_fit();
  return std::shared_ptr<const ChainPage>(std::move(made));
}

size_t ChainPage::bytes() const {
  return sizeof(*this) + entries_.capacity() * sizeof(Entry) +
         links_.capacity() * sizeof(dag::ChainLink);
}

std::optional<dag::ChainPlace> ChainPage::find(EventNumber number) const {
  const uint16_t index = entry_of_.at(number % kEvents);
  if (index == 0) return std::nullopt;
  const Entry& entry = entries_[index - 1];
  return dag::ChainPlace{
      entry.chain, entry.before, entry.linked, {links_.data() + entry.first_link, entry.links}};
}

// A page is kept beyond this turn once all its events are on disk: places never change. Events are
// numbered in the order in which they get there.
Result<const ChainPage*> ChainView::page(uint64_t number) {
  std::shared_ptr<const ChainPage>& held = pages_[number];
  if (!held) held = cache_.find(room_.number, number);
  if (!held) {
    POLDER_TRY(held, ChainPage::read(snapshot_, room_.number, number));
    const EventNumber next = (number + 1) * ChainPage::kEvents;
    POLDER_TRY(const auto beyond, stores::read_event_record(snapshot_, {room_.number, next}));
    if (beyond) cache_.insert(room_.number, number, held, held->bytes());
  }
  return held.get();
}

Result<dag::ChainPlace> ChainView::chain_place(EventNumber number) {
  if (const auto pending = room_.pending.find(number);
      pending != room_.pending.end() && pending->second.place)
    return pending->second.place->view();
  POLDER_TRY(const ChainPage* page, this->page(number / ChainPage::kEvents));
  const auto place = page->find(number);
  if (!place) return fail(ErrorCode::kNotFound, "an event is not in the index over auth chains");
  return *place;
}

Result<bool> ChainView::is_end(EventNumber number) {
  POLDER_TRY(const dag::ChainPlace place, chain_place(number));
  if (const auto pending = room_.pending_chain_ends.find(place.chain);
      pending != room_.pending_chain_ends.end())
    return pending->second == number;
  POLDER_TRY(const EventNumber end, stores::read_chain_end(snapshot_, room_.number, place.chain));
  return end == number;
}

void put_chain_place(kv::Batch& batch, stores::EventPlace event, const dag::NewChainPlace& place) {
  stores::ChainRow row{place.chain, place.before, place.linked, {}};
  for (const dag::ChainLink& link : place.links)
    row.links.push_back({link.chain, link.event});
  stores::put_chain_row(batch, event, row);
}

}  // namespace polder::rooms
