// In which order events are stored that need each other. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace polder::rooms {

// For each event its auth events, as far as they are of the same list, by their places in it.
using AuthPlaces = std::vector<std::vector<uint32_t>>;

// All places, each after those of its auth events. The create event, if it is in the list, comes
// first: from room version 12 on no event names it, and all need it.
std::vector<uint32_t> auth_order(const AuthPlaces& auth_events, std::optional<uint32_t> create);

}  // namespace polder::rooms
