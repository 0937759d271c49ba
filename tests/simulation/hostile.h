// What a hostile server sends: well signed by its own key, and wrong in every other way. Its own
// homeserver knows nothing of it.
#pragma once

#include <span>
#include <string_view>

#include "tests/simulation/history.h"

namespace polder::simulation {

// One thing that a hostile server does in a room that one of its users is in.
struct Misdeed {
  std::string_view name;
  uint32_t weight = 0;
  void (*commit)(History& history, class HostileRoom& room) = nullptr;
};
std::span<const Misdeed> misdeeds();

// A hostile server picks a room, and a misdeed. Nothing happens if it is in none.
void misbehave(History& history, size_t server);

}  // namespace polder::simulation
