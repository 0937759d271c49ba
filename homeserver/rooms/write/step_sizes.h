#pragma once

#include <cstddef>

namespace polder::rooms {

// From which sizes on something is done in steps, so that nothing else waits long for it.
struct StepSizes {
  size_t large_state = 1000;  // events that another server tells: not all are waited for
  size_t changes = 1000;      // of the current state, by one batch
};

}  // namespace polder::rooms
