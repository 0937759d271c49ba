// The authorisation rule on m.room.power_levels, a part of authorise().
#pragma once

#include "homeserver/protocol/dag/power_levels.h"
#include "homeserver/protocol/dag/rules.h"
#include "homeserver/protocol/events/event.h"

namespace polder::dag {

// The rule on m.room.power_levels (9; 10 in versions 1 to 5 and from 12 on). `current` are the
// levels before the event.
Verdict authorise_power_levels(const events::Event& event, const events::Event& create,
                               const PowerLevels& current);
// Those of its steps that let nobody send the event, whatever their power.
Verdict check_power_levels_form(const events::Event& event, const events::Event& create);

}  // namespace polder::dag
