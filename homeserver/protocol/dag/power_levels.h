// What m.room.power_levels says, read on demand: nothing is parsed before it is asked for.
// https://spec.matrix.org/v1.19/client-server-api/#mroompower_levels
#pragma once

#include <compare>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>

#include "homeserver/base/json/value.h"
#include "homeserver/protocol/events/event.h"

namespace polder::dag {

// How much power a user has, or an act needs. Creators of rooms of version 12 and later have more
// than any number (MSC4289).
class PowerLevel {
 public:
  constexpr PowerLevel() = default;
  constexpr PowerLevel(int64_t value) : value_(value) {}  // NOLINT: implicit
  static constexpr PowerLevel infinite() { return {std::numeric_limits<int64_t>::max()}; }

  constexpr bool is_infinite() const { return *this == infinite(); }
  constexpr int64_t value() const { return value_; }  // the largest int64_t if infinite
  friend constexpr auto operator<=>(const PowerLevel&, const PowerLevel&) = default;

 private:
  int64_t value_ = 0;
};

// One level as the room version writes it: an integer; before version 10 also a string that holds
// one; before version 6 also a number with fraction or exponent, truncated. Levels that 64 bits
// cannot hold become the nearest ones that are not infinite, as servers without a limit order them.
std::optional<int64_t> parse_power_level(const json::Value& value,
                                         const events::RoomVersionRules& rules);

// The levels of a room. Borrows both events. Values that the version's rules would have refused
// count as absent.
class PowerLevels {
 public:
  // `levels` is null where the room has no m.room.power_levels.
  PowerLevels(const events::Event& create, const events::Event* levels)
      : create_(create), levels_(levels) {}

  PowerLevel user(std::string_view user_id) const;
  // The level that sending needs (events, or else state_default or events_default).
  PowerLevel required_for(std::string_view type, bool is_state) const;
  PowerLevel ban() const;
  PowerLevel kick() const;
  PowerLevel redact() const;
  PowerLevel invite() const;
  PowerLevel notification(std::string_view key) const;  // as "room", for @room

  // True for the creators of a room whose version sets them above all levels.
  bool is_privileged_creator(std::string_view user_id) const;
  const events::Event* event() const { return levels_; }

 private:
  std::optional<int64_t> level(std::string_view name) const;
  std::optional<int64_t> level_in(std::string_view map, std::string_view key) const;

  const events::Event& create_;
  const events::Event* levels_;
};

// The user who created the room: content.creator before version 11, then the sender. Empty if
// absent.
std::string_view room_creator(const events::Event& create);

// The create event's id in a room whose id is its hash: the room id with the other sigil.
EventId create_event_id(const RoomId& room_id);

}  // namespace polder::dag
