// State resolution of room version 1, a part of resolve_conflicts().
#pragma once

#include <span>
#include <vector>

#include "homeserver/protocol/dag/state_resolution.h"

namespace polder::dag {

Result<std::vector<ResolvedKey>> resolve_conflicts_v1(std::span<const ConflictedKey> conflicted,
                                                      const UnconflictedState& unconflicted,
                                                      Source& source);

}  // namespace polder::dag
