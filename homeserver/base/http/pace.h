// How long may be waited for a peer that has to move so many bytes a second, and may pause. A
// value.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>

#include "homeserver/base/values/environment.h"

namespace polder::http {

class Pace {
 public:
  // Whoever keeps to the rate may use the whole of the pause again and again; who is faster saves
  // up no more than it.
  Pace(Millis pause, size_t bytes_per_second)
      : pause_(pause), credit_(pause), bytes_per_second_(static_cast<double>(bytes_per_second)) {}

  // For the next wait, within which so many bytes are to be moved.
  Millis timeout(size_t bytes = 0) const {
    return std::chrono::ceil<Millis>(credit_ + time_for(bytes));
  }
  // The wait took so long, and so many bytes were moved.
  void moved(std::chrono::nanoseconds waited, size_t bytes) {
    credit_ = std::clamp<std::chrono::nanoseconds>(credit_ - waited + time_for(bytes),
                                                   std::chrono::nanoseconds(0), pause_);
  }

 private:
  std::chrono::nanoseconds time_for(size_t bytes) const {
    return std::chrono::nanoseconds(
        static_cast<int64_t>(static_cast<double>(bytes) / bytes_per_second_ * 1e9));
  }

  std::chrono::nanoseconds pause_;
  std::chrono::nanoseconds credit_;
  double bytes_per_second_;
};

}  // namespace polder::http
