// Users of one room each who wait in /sync for what is said there.
#pragma once

#include <functional>

#include "bench/load/stage.h"

namespace polder::load {

struct Listener {
  Session session;
  std::string room = {};
  std::string since = {};
  size_t heard = 0;  // messages
};

// Gives since its first value.
Task<Status> begin_to_listen(Listener& listener);

// Waits in /sync, again and again, and takes the messages of the room in their order: each must say
// what text(number) does, number being that of those heard before. Ends when the hearing of one
// returns false; an error if another text is heard, or none for minutes.
using Text = std::function<std::string(size_t number)>;
using Hearing = std::function<bool()>;
Task<Status> listen(Listener& listener, Text text, Hearing heard);

}  // namespace polder::load
