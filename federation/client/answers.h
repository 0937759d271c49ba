// Reading answers whose lists are long: cut, not parsed. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "federation/wire/cut.h"
#include "homeserver/base/values/ids.h"
#include "homeserver/protocol/events/event.h"

namespace polder::client {

inline constexpr size_t kMembersMax = 100;  // of an answer's outermost object
inline constexpr size_t kStateEventsMax = 1'000'000;
inline constexpr size_t kStateBytesMax = 256u << 20;
// `unsigned` does not count as part of an event's size.
inline constexpr size_t kPduBytesMax = 4 * events::kMaxEventBytes;

// The PDUs in a list of an answer, as they stand there. Ones larger than any event are left out.
Result<std::vector<std::string>> take_pdus(const std::vector<wire::Member>& answer,
                                           std::string_view name, size_t max);
Result<std::vector<EventId>> take_event_ids(const std::vector<wire::Member>& answer,
                                            std::string_view name, size_t max);

}  // namespace polder::client
