#include "federation/wire/cut.h"

#include "homeserver/base/json/parse.h"

namespace polder::wire {
namespace {

Error malformed() {
  return fail(ErrorCode::kMalformed, "not JSON");
}

class Cutter {
 public:
  explicit Cutter(std::string_view text) : text_(text) {}

  void skip_spaces() {
    while (place_ < text_.size() &&
           std::string_view(" \t\r\n").find(text_[place_]) != std::string_view::npos)
      ++place_;
  }
  // True, and past it, if this character comes next.
  bool take(char c) {
    skip_spaces();
    if (place_ >= text_.size() || text_[place_] != c) return false;
    ++place_;
    return true;
  }
  bool at_end() {
    skip_spaces();
    return place_ == text_.size();
  }

  // One value, with its brackets matched.
  Result<std::string_view> value() {
    skip_spaces();
    const size_t start = place_;
    std::string open;
    while (place_ < text_.size()) {
      const char c = text_[place_];
      if (c == '"') {
        POLDER_CHECK(skip_string());
      } else if (c == '{' || c == '[') {
        open.push_back(c == '{' ? '}' : ']');
        ++place_;
      } else if (c == '}' || c == ']') {
        if (open.empty()) break;
        if (open.back() != c) return malformed();
        open.pop_back();
        ++place_;
      } else if (open.empty() && c == ',') {
        break;
      } else {
        ++place_;
        continue;
      }
      if (open.empty()) break;
    }
    if (!open.empty() || place_ == start) return malformed();
    return text_.substr(start, place_ - start);
  }

 private:
  Status skip_string() {
    for (++place_; place_ < text_.size(); ++place_) {
      if (text_[place_] == '\\') {
        ++place_;
      } else if (text_[place_] == '"') {
        ++place_;
        return {};
      }
    }
    return malformed();
  }

  std::string_view text_;
  size_t place_ = 0;
};

}  // namespace

Result<std::vector<std::string_view>> cut_array(std::string_view text, size_t max) {
  Cutter cutter(text);
  std::vector<std::string_view> parts;
  if (!cutter.take('[')) return malformed();
  if (!cutter.take(']')) {
    do {
      if (parts.size() == max) return fail(ErrorCode::kTooLarge, "too long a list");
      POLDER_TRY(const std::string_view part, cutter.value());
      parts.push_back(part);
    } while (cutter.take(','));
    if (!cutter.take(']')) return malformed();
  }
  if (!cutter.at_end()) return malformed();
  return parts;
}

Result<std::vector<Member>> cut_object(std::string_view text, size_t max) {
  Cutter cutter(text);
  std::vector<Member> members;
  if (!cutter.take('{')) return malformed();
  if (!cutter.take('}')) {
    do {
      if (members.size() == max) return fail(ErrorCode::kTooLarge, "too large an object");
      POLDER_TRY(const std::string_view quoted, cutter.value());
      if (quoted.size() > kCutNameMax) return fail(ErrorCode::kTooLarge, "too long a key");
      POLDER_TRY(const json::Value name, json::parse(quoted));
      if (name.as_string() == nullptr || !cutter.take(':')) return malformed();
      POLDER_TRY(const std::string_view value, cutter.value());
      members.push_back({*name.as_string(), value});
    } while (cutter.take(','));
    if (!cutter.take('}')) return malformed();
  }
  if (!cutter.at_end()) return malformed();
  return members;
}

Result<std::string_view> find_member(const std::vector<Member>& members, std::string_view name) {
  const auto is_it = [&](const Member& member) { return member.name == name; };
  const auto found = std::ranges::find_if(members, is_it);
  if (found == members.end()) return fail(ErrorCode::kMissing, std::string(name) + " is missing");
  if (std::find_if(found + 1, members.end(), is_it) != members.end())
    return fail(ErrorCode::kInvalid, std::string(name) + " is there twice");
  return found->value;
}

}  // namespace polder::wire
