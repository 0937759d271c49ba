// The reader beside the plainest one.
#pragma once

#include "homeserver/base/json/parse.h"
#include "homeserver/base/json/testing/plain_reader.h"

namespace polder::json {

// Whether both read the same value, or both refuse the text, for a reason that holds.
inline bool readers_agree(std::string_view text, const ParseLimits& limits) {
  const auto read = parse(text, limits);
  const auto plain = parse_plainly(text, limits);
  if (read.ok() != plain.ok()) return false;
  if (read.ok()) return *read == *plain;
  if (read.error().code == plain.error().code) return true;
  // Of several faults each reports the one that it meets first, and only the plain reader meets
  // them in order: besides a forbidden number or a level too many there must be text that no limits
  // would make JSON, and one of the two must have said so.
  const ParseLimits none{.max_bytes = text.size(), .max_depth = static_cast<int>(text.size())};
  return (read.error().code == ErrorCode::kMalformed ||
          plain.error().code == ErrorCode::kMalformed) &&
         parse_plainly(text, none).error().code == ErrorCode::kMalformed;
}

// In every mode of numbers.
inline bool readers_agree(std::string_view text, int max_depth) {
  return readers_agree(text, {.numbers = Numbers::kAny, .max_depth = max_depth}) &&
         readers_agree(text, {.numbers = Numbers::kCanonical, .max_depth = max_depth});
}

}  // namespace polder::json
