// Slots, from 0 on, for event numbers in the order in which they were first asked for.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory_resource>
#include <vector>

#include "homeserver/protocol/dag/source.h"

namespace polder::dag {

// An open-addressed table: a look-up is a multiplication and, as a rule, one comparison.
class NumberTable {
 public:
  explicit NumberTable(std::pmr::memory_resource* memory) : numbers_(memory), table_(memory) {}

  uint32_t slot_of(EventNumber number) {
    if ((numbers_.size() + 1) * 2 > table_.size()) grow();
    const size_t at = place_of(number);
    if (table_[at] != 0) return table_[at] - 1;
    numbers_.push_back(number);
    table_[at] = static_cast<uint32_t>(numbers_.size());
    return table_[at] - 1;
  }
  EventNumber number(uint32_t slot) const { return numbers_[slot]; }
  size_t size() const { return numbers_.size(); }

 private:
  // Where the number is or would be.
  size_t place_of(EventNumber number) const {
    const size_t mask = table_.size() - 1;
    size_t at = static_cast<size_t>(number * 0x9E3779B97F4A7C15u >> 20) & mask;
    while (table_[at] != 0 && numbers_[table_[at] - 1] != number)
      at = (at + 1) & mask;
    return at;
  }
  void grow() {
    table_.assign(std::max<size_t>(32, table_.size() * 2), 0);
    numbers_.reserve(table_.size() / 2);
    for (uint32_t slot = 0; slot < numbers_.size(); ++slot)
      table_[place_of(numbers_[slot])] = slot + 1;
  }

  std::pmr::vector<EventNumber> numbers_;
  std::pmr::vector<uint32_t> table_;  // slot + 1, or 0
};

}  // namespace polder::dag
