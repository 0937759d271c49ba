#include "homeserver/protocol/push_rules/condition.h"

#include <algorithm>
#include <charconv>

namespace polder::push_rules {
namespace {

// Of display names, in which '*' and '?' mean themselves.
constexpr base::GlobSyntax kPlainText{
    .star = false, .question_mark = false, .size_max = kPatternMax};

const json::Value* find_property(const json::Object& event, const std::vector<std::string>& path) {
  const json::Object* object = &event;
  const json::Value* value = nullptr;
  for (const std::string& name : path) {
    if (object == nullptr) return nullptr;
    value = object->find(name);
    if (value == nullptr) return nullptr;
    object = value->as_object();
  }
  return value;
}

// "non-compound canonical JSON values: strings, integers in the range of [-(2**53)+1, (2**53)-1],
// booleans, and null"
bool is_simple(const json::Value& value) {
  if (const int64_t* number = value.as_int())
    return *number >= -json::kMaxCanonicalInt && *number <= json::kMaxCanonicalInt;
  return value.as_array() == nullptr && value.as_object() == nullptr &&
         value.as_number() == nullptr && value.as_nested() == nullptr;
}

}  // namespace

std::vector<std::string> split_path(std::string_view path) {
  std::vector<std::string> names(1);
  for (size_t i = 0; i < path.size(); ++i) {
    const bool escapes =
        path[i] == '\\' && i + 1 < path.size() && (path[i + 1] == '.' || path[i + 1] == '\\');
    if (escapes) {
      names.back().push_back(path[++i]);
    } else if (path[i] == '.') {
      names.emplace_back();
    } else {
      names.back().push_back(path[i]);
    }
  }
  return names;
}

const std::optional<std::u32string>& Evaluation::body() {
  if (!std::exchange(body_read_, true)) {
    const json::Value* value = json::at(context_.event, {"content", "body"});
    const std::string* text = value == nullptr ? nullptr : value->as_string();
    if (text != nullptr) body_ = base::fold_case(*text);
  }
  return body_;
}

Result<Condition> Condition::parse(const json::Object& object) {
  Condition condition;
  condition.object_ = object;
  const std::string* kind = object.find_string("kind");
  if (kind == nullptr) return fail(ErrorCode::kInvalid, "a condition has no kind");
  if (const std::string* key = object.find_string("key")) {
    condition.key_ = *key;
    condition.path_ = split_path(*key);
  }
  if (const json::Value* value = object.find("value")) condition.value_ = *value;
  const std::string* pattern = object.find_string("pattern");
  if (pattern != nullptr) {
    condition.pattern_ = *pattern;
    POLDER_TRY(condition.glob_, base::Glob::parse(*pattern, kGlobs));
  }
  condition.parse_known(*kind);
  return condition;
}

void Condition::parse_known(const std::string& kind) {
  const bool has_key = object_.find_string("key") != nullptr;
  if (kind == "event_match" && has_key && glob_) {
    kind_ = Kind::kMatch;
  } else if (kind == "event_property_is" && has_key && object_.contains("value")) {
    kind_ = Kind::kIs;
  } else if (kind == "event_property_contains" && has_key && object_.contains("value")) {
    kind_ = Kind::kContains;
  } else if (kind == "contains_display_name") {
    kind_ = Kind::kDisplayName;
  } else if (kind == "room_member_count") {
    parse_member_count();
  } else if (kind == "sender_notification_permission" && has_key) {
    kind_ = Kind::kPermission;
  }
  if (kind_ == Kind::kMatch) of_user_ = pattern_ == kOwnUserId;
  if (kind_ == Kind::kContains)
    of_user_ = value_.as_string() != nullptr && *value_.as_string() == kOwnUserId;
}

// "A decimal integer optionally prefixed by one of, ==, <, >, >= or <=."
void Condition::parse_member_count() {
  const std::string* text = object_.find_string("is");
  if (text == nullptr) return;
  std::string_view rest = *text;
  for (const auto& [prefix, comparison] : {std::pair<std::string_view, char>{"==", '='},
                                           {"<=", 'l'},
                                           {">=", 'g'},
                                           {"<", '<'},
                                           {">", '>'}}) {
    if (!rest.starts_with(prefix)) continue;
    comparison_ = comparison;
    rest.remove_prefix(prefix.size());
    break;
  }
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), member_count_);
  if (error == std::errc() && end == rest.data() + rest.size()) kind_ = Kind::kMemberCount;
}

bool Condition::counts(uint64_t members) const {
  switch (comparison_) {
    case '<':
      return members < member_count_;
    case '>':
      return members > member_count_;
    case 'l':
      return members <= member_count_;
    case 'g':
      return members >= member_count_;
    default:
      return members == member_count_;
  }
}

bool Condition::matches_text(Evaluation& evaluation) const {
  if (key_ == "content.body") {
    const auto& body = evaluation.body();
    return body && glob_->matches_words(*body);
  }
  if (key_ == "room_id") return glob_->matches(base::fold_case(evaluation.context().room_id));
  const json::Value* value = find_property(evaluation.context().event, path_);
  const std::string* text = value == nullptr ? nullptr : value->as_string();
  if (text == nullptr) return false;
  if (!of_user_) return glob_->matches(base::fold_case(*text));
  evaluation.personal = true;
  return *text == evaluation.owner().user;
}

bool Condition::equals(const json::Value& value, Evaluation& evaluation) const {
  if (!of_user_) return is_simple(value) && value == value_;
  const std::string* text = value.as_string();
  if (text == nullptr) return false;
  evaluation.personal = true;
  return *text == evaluation.owner().user;
}

bool Condition::contains(const json::Value& value, Evaluation& evaluation) const {
  const json::Array* array = value.as_array();
  return array != nullptr && std::ranges::any_of(*array, [&](const json::Value& element) {
           return equals(element, evaluation);
         });
}

bool Condition::holds(Evaluation& evaluation) const {
  const EventContext& context = evaluation.context();
  switch (kind_) {
    case Kind::kUnknown:
      return false;
    case Kind::kMatch:
      return matches_text(evaluation);
    case Kind::kIs: {
      const json::Value* value = find_property(context.event, path_);
      return value != nullptr && equals(*value, evaluation);
    }
    case Kind::kContains: {
      const json::Value* value = find_property(context.event, path_);
      return value != nullptr && contains(*value, evaluation);
    }
    case Kind::kDisplayName: {
      const auto& body = evaluation.body();
      if (!body) return false;
      evaluation.personal = true;
      if (evaluation.owner().display_name.empty()) return false;
      const auto name = base::Glob::parse(evaluation.owner().display_name, kPlainText);
      return name.ok() && name->matches_words(*body);
    }
    case Kind::kMemberCount:
      return counts(context.members);
    case Kind::kPermission:
      return context.sender_may_notify(key_);
  }
  return false;
}

json::Value Condition::to_json(std::string_view user) const {
  if (!of_user_) return object_;
  json::Object object = object_;
  object.set(kind_ == Kind::kMatch ? "pattern" : "value", std::string(user));
  return object;
}

bool Condition::possible_in(std::string_view room_id) const {
  if (kind_ == Kind::kUnknown) return false;
  return kind_ != Kind::kMatch || key_ != "room_id" || glob_->matches(base::fold_case(room_id));
}

}  // namespace polder::push_rules
