// Cuts large JSON into its parts without reading it as a whole: the states of large rooms arrive as
// arrays of thousands of events, each of which is parsed by itself. Pure; thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "homeserver/base/values/result.h"

namespace polder::wire {

inline constexpr size_t kCutNameMax = 512;  // bytes of a member's name, quoted

// The elements of an array, or the members of an object, as they stand in the text. Only brackets
// and strings are looked at: whoever uses a part parses it. kMalformed, or kTooLarge beyond max
// parts.
Result<std::vector<std::string_view>> cut_array(std::string_view text, size_t max);
struct Member {
  std::string name;
  std::string_view value;
};
Result<std::vector<Member>> cut_object(std::string_view text, size_t max);

// The member of that name; kMissing if absent, kInvalid if there are two.
Result<std::string_view> find_member(const std::vector<Member>& members, std::string_view name);

}  // namespace polder::wire
