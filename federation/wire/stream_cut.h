// Cuts a large JSON object into its parts while it arrives in pieces: of the answer to a join,
// whose lists have tens of thousands of events, no more is held than the part that is arriving.
// Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "homeserver/base/values/result.h"

namespace polder::wire {

// Brackets within brackets: events are limited by their size only, and none has more in its bytes.
inline constexpr size_t kCutDepthMax = 64 * 1024;

struct StreamCutLimits {
  size_t elements = 1'000'000;     // of all lists together
  size_t element_bytes = 1 << 20;  // longer ones are left out
  size_t members = 100;            // of the object, the lists among them
  size_t member_bytes = 1 << 20;   // of one that is no list
};

// Only brackets and strings are looked at: whoever uses a part parses it. After an error nothing
// more can be taken: kMalformed, kTooLarge, kInvalid (two members of one name).
class StreamCutter {
 public:
  // An element of the list of that number, as it stands in the text. An error of it ends the
  // cutting.
  using TakeElement = std::function<Status(size_t list, std::string element)>;

  // Members of these names are cut into their elements, if they are arrays.
  StreamCutter(std::vector<std::string> lists, StreamCutLimits limits);

  Status take(std::string_view piece, const TakeElement& element);
  // After the last piece; kMalformed if the object is not at its end.
  Status finish() const;

  // Whether there was such a list.
  bool has(size_t list) const { return seen_[list]; }
  // The member of that name that is no list, as it stands in the text; kMissing if absent.
  Result<std::string_view> member(std::string_view name) const;

 private:
  enum class Place : uint8_t {
    kStart,
    kFirstName,  // a name, or the end of the object
    kName,       // a name, after a comma
    kColon,
    kValue,
    kAfterValue,  // a comma, or the end of the object
    kFirstElement,
    kElement,
    kAfterElement,
    kEnd,
  };

  // How many bytes belong to the token that is open; it may end with them.
  Result<size_t> scan(std::string_view text);
  Status begin(char c);
  Status end(const TakeElement& element);
  Status end_member();
  Status punctuate(char c);

  const std::vector<std::string> lists_;
  const StreamCutLimits limits_;
  Place place_ = Place::kStart;

  // The name or value that is arriving.
  bool in_token_ = false;
  bool in_string_ = false;
  bool escaped_ = false;
  bool scalar_ = false;    // neither string, object nor array: what follows shows that it ended
  bool complete_ = false;  // its end was seen
  std::string closing_;    // the brackets that are still to come
  std::string token_;      // as far as it is kept
  size_t token_max_ = 0;
  bool too_long_ = false;

  std::string name_;
  size_t list_ = 0;
  size_t elements_ = 0;
  std::vector<bool> seen_;
  std::vector<std::pair<std::string, std::string>> members_;
};

}  // namespace polder::wire
