// simdjson finds strings, structure, control characters and invalid UTF-8 with the processor's
// widest instructions; the walk here then visits every token once, in order. On-Demand checks only
// what is visited, and so everything is: what it leaves to its user (that a number or a word is
// one up to the next token, that nothing follows the value) is checked here, as are duplicate keys.
#include "homeserver/base/json/parse.h"

// What the walk depends on is compared with another reader on random text, not asserted.
#define SIMDJSON_DEVELOPMENT_CHECKS 0
#include <simdjson.h>

#include <charconv>
#include <cstring>
#include <iterator>

#include "homeserver/base/json/nested.h"

namespace polder::json {
namespace {

namespace ondemand = simdjson::ondemand;

// simdjson's indexes take six times the text. Up to here, which every event is, a thread keeps
// them; what is larger pays for its own.
constexpr size_t kKeptBytes = 128 << 10;

// What reading needs besides its result.
struct Workspace {
  ondemand::parser parser;
  std::string copy;
  // Of the objects and arrays that are not yet complete, those of the innermost last: so each is
  // made in the size that it has.
  std::vector<Object::Member> members;
  std::vector<Value> elements;
};

// An array or object below kTreeDepth that is being read.
struct Level {
  bool is_object = false;
  ondemand::object_iterator member;
  ondemand::array_iterator element;

  // simdjson compares with the end whatever is given.
  bool at_end() const { return is_object ? member == member : element == element; }
  void step() {
    if (is_object) {
      ++member;
    } else {
      ++element;
    }
  }
};

// A token reaches up to the next one.
std::string_view without_space(std::string_view token) {
  const size_t end = token.find_last_not_of(" \t\n\r");
  return token.substr(0, end + 1);
}

std::string_view token_of(ondemand::value& value) {
  return value.raw_json_token();
}
std::string_view token_of(ondemand::document& document) {
  return document.raw_json_token().value_unsafe();
}

template <class T>
std::vector<T> take_from(std::vector<T>& stack, size_t bottom) {
  const auto first = stack.begin() + static_cast<ptrdiff_t>(bottom);
  std::vector<T> taken(std::make_move_iterator(first), std::make_move_iterator(stack.end()));
  stack.erase(first, stack.end());
  return taken;
}

class TreeReader {
 public:
  TreeReader(Workspace& workspace, const ParseLimits& limits)
      : workspace_(workspace), limits_(limits) {}

  // Of text with simdjson::SIMDJSON_PADDING bytes behind it, the first of which is zero: where
  // simdjson is led past the end, it finds no token there.
  Result<Value> read(std::string_view text) {
    workspace_.members.clear();
    workspace_.elements.clear();
    Value value;
    if (!read_document(text, value)) return fail(code_, why_);
    return value;
  }

 private:
  bool refuse(ErrorCode code, const char* why) {
    code_ = code;
    why_ = why;
    return false;
  }
  bool malformed(const char* why) { return refuse(ErrorCode::kMalformed, why); }

  bool read_document(std::string_view text, Value& out) {
    ondemand::document document;
    if (const auto error = workspace_.parser.iterate(text, text.size() + simdjson::SIMDJSON_PADDING)
                               .get(document)) {
      const bool too_large = error == simdjson::CAPACITY || error == simdjson::MEMALLOC;
      return too_large ? refuse(ErrorCode::kTooLarge, "JSON is too large")
                       : malformed("not JSON: a string, its UTF-8, or nothing at all");
    }
    ondemand::value root;
    if (document.get_value().get(root) == simdjson::SUCCESS) {
      if (!read_value(root, 0, out)) return false;
      if (document.current_location().error() != simdjson::OUT_OF_BOUNDS)
        return malformed("not JSON: text after the value");
      return true;
    }
    const std::string_view token = token_of(document);
    if (!read_scalar(document, token, out)) return false;
    if (token.end() != text.end()) return malformed("not JSON: text after the value");
    return true;
  }

  bool read_value(ondemand::value& value, int depth, Value& out) {
    const std::string_view token = token_of(value);
    if (token.empty()) return malformed("not JSON: it ends too early");
    if (depth >= kTreeDepth && (token.front() == '{' || token.front() == '['))
      return read_nested(value, token.front(), depth, out);
    switch (token.front()) {
      case '{':
        return read_object(value, depth + 1, out);
      case '[':
        return read_array(value, depth + 1, out);
      default:
        return read_scalar(value, token, out);
    }
  }

  bool enter(int depth) {
    return depth <= limits_.max_depth || refuse(ErrorCode::kTooLarge, "JSON is nested too deeply");
  }

  bool read_object(ondemand::value& value, int depth, Value& out) {
    ondemand::object object;
    if (!enter(depth)) return false;
    if (value.get_object().get(object) != simdjson::SUCCESS) return malformed(kNoObject);
    auto& members = workspace_.members;
    const size_t bottom = members.size();
    for (auto next : object) {
      ondemand::field field;
      if (std::move(next).get(field) != simdjson::SUCCESS) return malformed(kNoObject);
      std::string key;
      Value member;
      if (!read_key(field, key) || !read_value(field.value(), depth, member)) return false;
      members.emplace_back(std::move(key), std::move(member));
    }
    Object result;
    if (!result.assign_unsorted(take_from(members, bottom))) return malformed(kKeyTwice);
    out = Value(std::move(result));
    return true;
  }

  bool read_array(ondemand::value& value, int depth, Value& out) {
    ondemand::array array;
    if (!enter(depth)) return false;
    if (value.get_array().get(array) != simdjson::SUCCESS) return malformed(kNoArray);
    auto& elements = workspace_.elements;
    const size_t bottom = elements.size();
    for (auto next : array) {
      ondemand::value element;
      if (std::move(next).get(element) != simdjson::SUCCESS) return malformed(kNoArray);
      Value read;
      if (!read_value(element, depth, read)) return false;
      elements.push_back(std::move(read));
    }
    out = Value(take_from(elements, bottom));
    return true;
  }

  bool read_nested(ondemand::value& value, char bracket, int depth, Value& out) {
    NestedText text;
    std::vector<Level> open;
    if (!descend(value, bracket, depth, text, open)) return false;
    while (!open.empty()) {
      if (open.back().at_end()) {
        text.close();
        open.pop_back();
        if (!open.empty()) open.back().step();
        continue;
      }
      if (!read_child(depth, text, open)) return false;
      if (text.bytes() > kNestedBytesMax)
        return refuse(ErrorCode::kTooLarge, "JSON is nested too deeply");
    }
    Nested nested;
    if (!text.write(nested.json)) return malformed(kKeyTwice);
    out = Value(std::move(nested));
    return true;
  }

  bool descend(ondemand::value& value, char bracket, int depth, NestedText& text,
               std::vector<Level>& open) {
    if (!enter(depth + static_cast<int>(open.size()) + 1)) return false;
    Level level{.is_object = bracket == '{', .member = {}, .element = {}};
    if (level.is_object) {
      ondemand::object object;
      if (value.get_object().get(object) != simdjson::SUCCESS ||
          object.begin().get(level.member) != simdjson::SUCCESS)
        return malformed(kNoObject);
    } else {
      ondemand::array array;
      if (value.get_array().get(array) != simdjson::SUCCESS ||
          array.begin().get(level.element) != simdjson::SUCCESS)
        return malformed(kNoArray);
    }
    text.open(bracket);
    open.push_back(level);
    return true;
  }

  bool read_child(int depth, NestedText& text, std::vector<Level>& open) {
    Level& level = open.back();
    ondemand::value child;
    if (level.is_object) {
      ondemand::field field;
      std::string key;
      if ((*level.member).get(field) != simdjson::SUCCESS) return malformed(kNoObject);
      if (!read_key(field, key)) return false;
      text.key(key);
      child = field.value();
    } else if ((*level.element).get(child) != simdjson::SUCCESS) {
      return malformed(kNoArray);
    }
    const std::string_view token = token_of(child);
    if (token.empty()) return malformed("not JSON: it ends too early");
    if (token.front() == '{' || token.front() == '[')
      return descend(child, token.front(), depth, text, open);
    Value scalar;
    if (!read_scalar(child, token, scalar)) return false;
    text.scalar(scalar);
    level.step();
    return true;
  }

  // Keys are short: their end is found sooner than it is searched for.
  bool read_key(ondemand::field& field, std::string& out) {
    const char* start = field.key().raw();
    const char* end = start;
    while (*end != '"' && *end != '\\')
      ++end;
    if (*end == '"') {
      out.assign(start, end);
      return true;
    }
    std::string_view unescaped;
    if (field.unescaped_key().get(unescaped) != simdjson::SUCCESS) return malformed(kNoEscape);
    out = unescaped;
    return true;
  }

  template <class Token>
  bool read_scalar(Token& source, std::string_view token, Value& out) {
    token = without_space(token);
    if (token.empty()) return malformed("not JSON: it ends too early");
    switch (token.front()) {
      case '"':
        return read_string(source, token.substr(1, token.size() - 2), out);
      case 't':
        return token == "true" ? put(out, Value(true)) : malformed(kNoWord);
      case 'f':
        return token == "false" ? put(out, Value(false)) : malformed(kNoWord);
      case 'n':
        return token == "null" ? put(out, Value()) : malformed(kNoWord);
      default:
        return read_number(token, out);
    }
  }

  static bool put(Value& out, Value value) {
    out = std::move(value);
    return true;
  }

  // It takes the string from simdjson in any case, which would take one that a colon follows for a
  // key if it had to skip it.
  template <class Token>
  bool read_string(Token& source, std::string_view between_quotes, Value& out) {
    if (std::memchr(between_quotes.data(), '\\', between_quotes.size()) == nullptr) {
      if (source.get_raw_json_string().error() != simdjson::SUCCESS) return malformed(kNoEscape);
      return put(out, Value(between_quotes));
    }
    std::string_view unescaped;
    if (source.get_string().get(unescaped) != simdjson::SUCCESS) return malformed(kNoEscape);
    return put(out, Value(unescaped));
  }

  // RFC 8259, section 6: [ minus ] int [ frac ] [ exp ].
  bool read_number(std::string_view token, Value& out) {
    const char* next = token.data();
    const char* const end = next + token.size();
    const auto take = [&](char c) { return next != end && *next == c && ++next; };
    const auto take_digits = [&] {
      const char* first = next;
      while (next != end && *next >= '0' && *next <= '9')
        ++next;
      return next != first;
    };
    const bool negative = take('-');
    const bool zero = next != end && *next == '0';
    const char* digits = next;
    if (!take_digits()) return malformed(kNoWord);
    if (zero && next - digits > 1) return malformed(kNoNumber);
    bool integer = true;
    if (take('.')) {
      integer = false;
      if (!take_digits()) return malformed(kNoNumber);
    }
    if (take('e') || take('E')) {
      integer = false;
      if (!take('+')) take('-');
      if (!take_digits()) return malformed(kNoNumber);
    }
    if (next != end) return malformed(kNoNumber);
    return hold_number(token, integer, integer && negative && zero, out);
  }

  bool hold_number(std::string_view token, bool integer, bool minus_zero, Value& out) {
    int64_t value = 0;
    const bool fits =
        integer &&
        std::from_chars(token.data(), token.data() + token.size(), value).ec == std::errc();
    const bool canonical =
        fits && !minus_zero && value <= kMaxCanonicalInt && value >= -kMaxCanonicalInt;
    if (!canonical && limits_.numbers == Numbers::kCanonical)
      return refuse(ErrorCode::kInvalid, "a number is not canonical");
    return put(out, fits ? Value(value) : Value(Number{std::string(token)}));
  }

  static constexpr const char* kNoObject = "not JSON: an object's keys, colons, commas or end";
  static constexpr const char* kKeyTwice = "not JSON: an object has a key twice";
  static constexpr const char* kNoArray = "not JSON: an array's commas or end";
  static constexpr const char* kNoEscape = "not JSON: an escape in a string";
  static constexpr const char* kNoWord = "not JSON: unknown word";
  static constexpr const char* kNoNumber = "not JSON: a number's form";

  Workspace& workspace_;
  const ParseLimits& limits_;
  ErrorCode code_ = ErrorCode::kMalformed;
  const char* why_ = "";
};

Result<Value> parse_with(Workspace& workspace, std::string_view text, const ParseLimits& limits) {
  workspace.copy.reserve(text.size() + simdjson::SIMDJSON_PADDING);
  workspace.copy = text;
  return TreeReader(workspace, limits).read(workspace.copy);
}

}  // namespace

Result<Value> parse(std::string_view text, const ParseLimits& limits) {
  if (text.size() > limits.max_bytes) return fail(ErrorCode::kTooLarge, "JSON is too large");
  if (text.size() > kKeptBytes) {
    Workspace own;
    return parse_with(own, text, limits);
  }
  // Never held across anything that could wait.
  thread_local Workspace kept;
  return parse_with(kept, text, limits);
}

Result<Object> parse_object(std::string_view text, const ParseLimits& limits) {
  POLDER_TRY(Value value, parse(text, limits));
  if (value.as_object() == nullptr) return fail(ErrorCode::kBadType, "JSON is not an object");
  return std::move(*value.as_object());
}

}  // namespace polder::json
