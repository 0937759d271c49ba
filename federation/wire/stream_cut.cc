#include "federation/wire/stream_cut.h"

#include <algorithm>

#include "federation/wire/cut.h"
#include "homeserver/base/json/parse.h"

namespace polder::wire {
namespace {

Error malformed() {
  return fail(ErrorCode::kMalformed, "not JSON");
}

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

}  // namespace

StreamCutter::StreamCutter(std::vector<std::string> lists, StreamCutLimits limits)
    : lists_(std::move(lists)), limits_(limits), seen_(lists_.size(), false) {}

Status StreamCutter::take(std::string_view piece, const TakeElement& element) {
  while (!piece.empty()) {
    if (in_token_) {
      POLDER_TRY(const size_t size, scan(piece));
      const size_t room = token_max_ - token_.size();
      token_.append(piece.substr(0, std::min(size, room)));
      too_long_ = too_long_ || size > room;
      piece.remove_prefix(size);
      if (complete_) POLDER_CHECK(end(element));
    } else if (is_space(piece.front())) {
      piece.remove_prefix(1);
    } else {
      POLDER_CHECK(begin(piece.front()));
      if (!in_token_) piece.remove_prefix(1);
    }
  }
  return {};
}

// Either a name or value begins here, or a character that stands between them.
Status StreamCutter::begin(char c) {
  const bool for_name = place_ == Place::kFirstName || place_ == Place::kName;
  const bool for_value =
      place_ == Place::kValue || place_ == Place::kFirstElement || place_ == Place::kElement;
  const auto list = std::ranges::find(lists_, name_);
  if (place_ == Place::kValue && c == '[' && list != lists_.end()) {
    list_ = static_cast<size_t>(list - lists_.begin());
    if (seen_[list_]) return fail(ErrorCode::kInvalid, name_ + " is there twice");
    seen_[list_] = true;
    place_ = Place::kFirstElement;
    return {};
  }
  const bool begins =
      for_name ? c == '"' : for_value && std::string_view(",:]}").find(c) == std::string_view::npos;
  if (!begins) return punctuate(c);
  in_token_ = true;
  complete_ = in_string_ = escaped_ = too_long_ = false;
  scalar_ = c != '"' && c != '{' && c != '[';
  token_max_ = for_name                  ? kCutNameMax
               : place_ == Place::kValue ? limits_.member_bytes
                                         : limits_.element_bytes;
  token_.clear();
  return {};
}

Status StreamCutter::punctuate(char c) {
  const auto go = [&](Place place) -> Status {
    place_ = place;
    return {};
  };
  switch (place_) {
    case Place::kStart:
      if (c == '{') return go(Place::kFirstName);
      break;
    case Place::kFirstName:
      if (c == '}') return go(Place::kEnd);
      break;
    case Place::kColon:
      if (c == ':') return go(Place::kValue);
      break;
    case Place::kAfterValue:
      if (c == ',') return go(Place::kName);
      if (c == '}') return go(Place::kEnd);
      break;
    case Place::kFirstElement:
      if (c == ']') return go(Place::kAfterValue);
      break;
    case Place::kAfterElement:
      if (c == ',') return go(Place::kElement);
      if (c == ']') return go(Place::kAfterValue);
      break;
    case Place::kName:
    case Place::kValue:
    case Place::kElement:
    case Place::kEnd:
      break;
  }
  return malformed();
}

Result<size_t> StreamCutter::scan(std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string_) {
      if (escaped_) {
        escaped_ = false;
      } else if (c == '\\') {
        escaped_ = true;
      } else if (c == '"') {
        in_string_ = false;
        complete_ = closing_.empty();
      }
    } else if (scalar_) {
      if (c == '"' || c == '{' || c == '[') return malformed();
      complete_ = c == ',' || c == '}' || c == ']' || is_space(c);
      if (complete_) return i;
    } else if (c == '"') {
      in_string_ = true;
    } else if (c == '{' || c == '[') {
      if (closing_.size() == kCutDepthMax)
        return fail(ErrorCode::kTooLarge, "JSON nested too deeply");
      closing_.push_back(c == '{' ? '}' : ']');
    } else if (c == '}' || c == ']') {
      if (closing_.back() != c) return malformed();
      closing_.pop_back();
      complete_ = closing_.empty();
    }
    if (complete_) return i + 1;
  }
  return text.size();
}

Status StreamCutter::end(const TakeElement& element) {
  in_token_ = false;
  if (place_ == Place::kFirstName || place_ == Place::kName) {
    if (too_long_) return fail(ErrorCode::kTooLarge, "too long a key");
    POLDER_TRY(const json::Value name, json::parse(token_));
    if (name.as_string() == nullptr) return malformed();
    name_ = *name.as_string();
    place_ = Place::kColon;
    return {};
  }
  if (place_ == Place::kValue) return end_member();
  place_ = Place::kAfterElement;
  if (++elements_ > limits_.elements) return fail(ErrorCode::kTooLarge, "too long a list");
  return too_long_ ? Status() : element(list_, std::exchange(token_, {}));
}

Status StreamCutter::end_member() {
  place_ = Place::kAfterValue;
  if (members_.size() == limits_.members) return fail(ErrorCode::kTooLarge, "too large an object");
  const bool known =
      std::ranges::any_of(members_, [&](const auto& one) { return one.first == name_; });
  if (known) return fail(ErrorCode::kInvalid, name_ + " is there twice");
  members_.emplace_back(name_, too_long_ ? std::string() : std::exchange(token_, {}));
  return {};
}

Status StreamCutter::finish() const {
  return place_ == Place::kEnd ? Status() : malformed();
}

Result<std::string_view> StreamCutter::member(std::string_view name) const {
  const auto found = std::ranges::find(
      members_, name, [](const auto& one) -> std::string_view { return one.first; });
  if (found == members_.end()) return fail(ErrorCode::kMissing, std::string(name) + " is missing");
  if (found->second.empty()) return fail(ErrorCode::kTooLarge, std::string(name) + " is too long");
  return std::string_view(found->second);
}

}  // namespace polder::wire
