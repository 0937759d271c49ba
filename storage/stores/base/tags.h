// Tags of rows that more than one source has to know.
#pragma once

#include <cstdint>

namespace polder::stores {

// In column streams: by position, what changed.
inline constexpr uint8_t kEventStream = 1;
inline constexpr uint8_t kAccountDataStream = 2;
inline constexpr uint8_t kDeviceListStream = 3;
inline constexpr uint8_t kReceiptStream = 4;
inline constexpr uint8_t kRoomEntryStream = 5;
inline constexpr uint8_t kSignedStream = 6;
// In column rooms.
inline constexpr uint8_t kRoomTag = 1;
// In column sessions.
inline constexpr uint8_t kTokenTag = 1;
inline constexpr uint8_t kUserTokenTag = 2;

}  // namespace polder::stores
